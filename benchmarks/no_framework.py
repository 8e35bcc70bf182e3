"""One trial after the other with no framework at all: what goodput.py takes as the floor.

python benchmarks/no_framework.py TASK.json        # goodput.py writes the task
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.stamps import Task
from xtts.trainer import XttsTrainer


def main() -> None:
    """Train every config of the task."""
    task = Task.read(sys.argv[1])
    for number, config in enumerate(task.trials):
        task.stamp("trial", str(number))
        trainer = XttsTrainer(config, task.data, task.seed)
        for _ in range(task.epochs):
            trainer.train_epoch()
            task.stamp("epoch", str(number))


if __name__ == "__main__":
    main()
