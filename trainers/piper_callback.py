"""A Lightning callback for Piper, named in its config: one JSON line an epoch. Runs in Piper's own environment.

Piper's CLI adds a ModelCheckpoint on val_mos, which raises after the first epoch where val_mos is not logged (it needs
the network), and a config file cannot remove it. Here it is set to keep nothing, which also saves 570 MB an epoch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint


class EpochJson(pl.Callback):  # type: ignore[misc]
    """Appends what was logged in an epoch to `path`."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def setup(self, trainer: Any, module: Any, stage: str) -> None:
        """Before the first epoch."""
        for callback in trainer.callbacks:
            if isinstance(callback, ModelCheckpoint):
                callback.monitor, callback.save_top_k = None, 0

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Training and validation of the epoch are logged by now."""
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        line = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, **values}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
