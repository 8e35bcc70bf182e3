"""Alignment of text tokens to time, and token durations: learned once per data set."""
