"""Speech from a trained model: synthesis, samples and their metrics."""
