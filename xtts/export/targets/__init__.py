"""The trainers that a config can be exported to, one file each."""
