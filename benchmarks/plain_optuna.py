"""Optuna with a pruner in one process, as its tutorial shows it: one of the sides of goodput.py.

python benchmarks/plain_optuna.py TASK.json        # goodput.py writes the task
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import optuna

from benchmarks.stamps import Task
from xtts.trainer import XttsTrainer


def main() -> None:
    """Search the three knobs in as many trials as the task has, on its prepared speech."""
    task = Task.read(sys.argv[1])

    def objective(trial: optuna.Trial) -> float:
        task.stamp("trial", str(trial.number))
        config = {
            **task.trials[0],
            "mel_loss_weight": trial.suggest_float("mel_loss_weight", 1.0, 5.0),
            "kl_loss_weight": trial.suggest_float("kl_loss_weight", 0.5, 2.0),
            "gradient_clip_norm": trial.suggest_float("gradient_clip_norm", 0.3, 1.0),
        }
        trainer = XttsTrainer(config, task.data, task.seed)
        value = float("nan")
        for epoch in range(1, task.epochs + 1):
            value = float(str(trainer.train_epoch()["objective"]))
            task.stamp("epoch", str(trial.number))
            trial.report(value, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    first = -(-task.epochs // 3)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=task.seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=3),
        storage=f"sqlite:///{task.folder}/optuna.db",
    )
    study.optimize(objective, n_trials=len(task.trials))


if __name__ == "__main__":
    main()
