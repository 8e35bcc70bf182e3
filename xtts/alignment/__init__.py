"""Which token of a text stands at which moment of its clip, and how long a token lasts: learned once per data set."""
