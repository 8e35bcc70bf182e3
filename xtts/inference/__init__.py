"""Speech out of a trained model: synthesis, samples, and metrics of what it says."""
