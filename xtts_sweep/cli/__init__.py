"""The commands of run_sweep.py, one file each: what was asked for in, an exit code out."""
