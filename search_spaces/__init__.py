"""The search spaces that come with the program, one YAML file each, and limits.yaml."""
