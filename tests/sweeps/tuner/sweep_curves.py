"""Curves of a sweep of the toy trainer, and those of trials that nothing happened to."""

from __future__ import annotations

from typing import Any

from sweeps.trials.record import TrialRecord
from tests.toy_trainer import ToyTrainer


def curve(record: TrialRecord) -> list[Any]:
    return [report["objective"] for report in record.reports]


def undisturbed(record: TrialRecord, epochs: int) -> list[Any]:
    """The curve of a trainer that nothing happened to."""
    trainer = ToyTrainer(record.params, "", record.seed)
    return [trainer.train_epoch()["objective"] for _ in range(epochs)]
