"""Recordings to samples, samples to mel frames, mel frames to pitch."""
