"""Runs, resumes and confirms a sweep: the loop over its phases, callbacks, signals and output files."""
