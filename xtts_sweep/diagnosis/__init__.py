"""The diagnosis of training runs from their logs: what the command `diagnose` does."""
