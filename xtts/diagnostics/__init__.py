"""Rules over learning curves: what they find, what it means and what to do about it."""
