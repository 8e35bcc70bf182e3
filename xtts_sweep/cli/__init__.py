"""The commands of run_sweep.py, one file each."""
