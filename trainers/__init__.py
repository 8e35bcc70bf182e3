"""Specs of external trainers, one YAML file each, and adapters for trainers that run in process."""
