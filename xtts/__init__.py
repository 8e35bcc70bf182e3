"""What learns: speech in, the model, its training and evaluation. Knows nothing of sweeps."""
