"""What is behind an answer: which change of the finalist carries the gain, and how much of it is learning rate."""
