"""What decides and records: search spaces, early stopping, trials and their run folder. Knows nothing of speech."""
