"""The name of `xtts.data` in version 0.1.0, kept for programs that import it."""
