"""A run: its folder, config, resources, trials.csv, optuna.db, progress and summary."""
