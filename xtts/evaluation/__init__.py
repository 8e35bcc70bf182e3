"""The objective and the other metrics of a model, without loss weights."""
