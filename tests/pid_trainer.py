"""A toy trainer that reports which process trained it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tests.toy_trainer import ToyTrainer


class PidTrainer(ToyTrainer):
    """Adds `pid` to its reports."""

    def train_epoch(self) -> Mapping[str, object]:
        """One epoch of nothing."""
        return {**super().train_epoch(), "pid": os.getpid()}
