"""External trainers: the spec, the process, the readers of their logs, the preflight."""
