"""Finalist against default over fresh paired seeds: the runs, the paired test, the verdict and its text."""
