"""Checkpoints, object stores, and runs and data sets that several machines share."""
