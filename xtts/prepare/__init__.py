"""From a folder of speech to what every trial opens: features, splits, alignment, batches and the demo speech."""
