"""Asynchronous successive halving as plain rules: who stops at which rung, and how well rungs foretell the end.

Li et al., A System for Massively Parallel Hyperparameter Tuning (2020), in its stopping variant. A trial that reaches a
rung stops unless it is among the best 1/eta of those that reached it before; the first at a rung always goes on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.objective import OBJECTIVE, Objective
from sweeps.records import TrialRecord

FEWEST_FOR_A_CORRELATION = 4


@dataclass(frozen=True)
class Decision:
    """What happened to a trial at a rung; `cutoff` is None for the first one there."""

    epoch: int
    value: float
    cutoff: float | None
    stop: bool

    def __str__(self) -> str:
        if self.cutoff is None:
            return f"first at epoch {self.epoch} with {self.value:.4f}"
        return f"{self.value:.4f} at epoch {self.epoch}, where {self.cutoff:.4f} was needed"


class Rungs:
    """The values recorded at each rung, at `first`, `first * eta`, ... epochs below the full length."""

    def __init__(self, epochs: int, first: int, eta: int = 3, objective: Objective = OBJECTIVE) -> None:
        self.eta = eta
        self.epochs: tuple[int, ...] = tuple(_milestones(first, epochs, eta))
        self._objective = objective
        self._recorded: dict[int, dict[str, float]] = {epoch: {} for epoch in self.epochs}

    def cutoff(self, epoch: int) -> float | None:
        """The value that a trial has to reach at a rung; None while nobody was there."""
        values = list(self._recorded[epoch].values())
        if not values:
            return None
        share = 1 / self.eta if self._objective.mode == "min" else 1 - 1 / self.eta
        return float(np.percentile(values, 100 * share))

    def reach(self, trial_id: str, epoch: int, value: float, *, protected: bool = False) -> Decision | None:
        """Record a trial's running best at the highest rung it has reached; None where there is nothing to decide."""
        for rung in reversed(self.epochs):
            if epoch < rung or trial_id in self._recorded[rung] or not math.isfinite(value):
                continue
            cutoff = self.cutoff(rung)
            self._recorded[rung][trial_id] = value
            worse = cutoff is not None and self._objective.better(cutoff, value)
            return Decision(rung, value, cutoff, stop=worse and not protected)
        return None

    def restore(self, records: Iterable[TrialRecord]) -> None:
        """Fill the rungs with what their events in the journal say."""
        for record in records:
            for event in record.rungs:
                epoch, value = event.get("epoch"), event.get("value")
                if epoch in self._recorded and isinstance(epoch, int) and isinstance(value, (int, float)):
                    self._recorded[epoch][record.trial_id] = float(value)


@dataclass(frozen=True)
class RungCorrelation:
    """Spearman's rank correlation between the rung and the end over the trials that ran to the end."""

    rung: int
    trials: int
    value: float | None

    def __str__(self) -> str:
        where = f"epoch {self.rung} against the end"
        if self.value is None:
            return f"{where}: {self.trials} full-length trials are too few for a rank correlation"
        return f"{where}: rank correlation {self.value:+.2f} over {self.trials} full-length trials"


def rung_correlation(records: Sequence[TrialRecord], rung: int) -> RungCorrelation:
    """How well the order at `rung` foretold the order at the end."""
    pairs = [
        (record.running_best[rung], record.objective)
        for record in records
        if record.status == "finished" and record.objective is not None and rung in record.running_best
    ]
    if len(pairs) < FEWEST_FOR_A_CORRELATION:
        return RungCorrelation(rung, len(pairs), None)
    at_rung, at_end = (_ranks(np.array(values)) for values in zip(*pairs, strict=True))
    if at_rung.std() == 0 or at_end.std() == 0:
        return RungCorrelation(rung, len(pairs), None)
    return RungCorrelation(rung, len(pairs), float(np.corrcoef(at_rung, at_end)[0, 1]))


def _ranks(values: np.ndarray) -> np.ndarray:
    order = np.sort(values)
    return (np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right") - 1) / 2


def _milestones(first: int, epochs: int, eta: int) -> Iterable[int]:
    rung = max(first, 1)
    while rung < epochs:
        yield rung
        rung *= eta
