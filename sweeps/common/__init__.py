"""Errors, files, YAML and budgets: what every floor above uses."""
