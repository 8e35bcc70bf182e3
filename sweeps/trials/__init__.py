"""Trials: the record of each, the journal they are derived from, and their final values."""
