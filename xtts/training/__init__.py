"""Optimisation: settings, loss weighting, the optimiser and the training loop."""
