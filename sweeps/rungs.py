"""Asynchronous successive halving as plain rules: who stops at which rung, and how well rungs foretell the end.

Li et al., A System for Massively Parallel Hyperparameter Tuning (2020), in its stopping variant, made careful. A trial
that reaches a rung goes on if it is among the best 1/eta of those that reached it before, as there. A worse one stops
only where the rung is known to foretell the end: over the full-length trials the order at the rung must agree with the
order at the end, and the line from rung to end, with the spread of the trials around it, must leave hardly a chance of
a new best. Until enough trials have run to the end, nobody stops.

A decision follows from the records in the journal alone, so a resumed sweep decides the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.curve_ends import curve_ends, full_length
from sweeps.objective import OBJECTIVE, Objective
from sweeps.records import TrialRecord

FEWEST_FOR_A_CORRELATION = 4
FEWEST_CORRELATION = 0.5
SLIGHT_CHANCE = 0.1  # of a new best, with which a trial may be stopped


@dataclass(frozen=True)
class Decision:
    """What happened to a trial at a rung; `cutoff` is None where nothing could stop it: nobody was there before, or
    what the rung foretells is not known yet."""

    epoch: int
    value: float
    cutoff: float | None
    stop: bool

    def __str__(self) -> str:
        if self.cutoff is None:
            return f"{self.value:.4f} at epoch {self.epoch}, where nobody is stopped yet"
        return f"{self.value:.4f} at epoch {self.epoch}, where {self.cutoff:.4f} was needed"


class Rungs:
    """The values recorded at each rung, at `first`, `first * eta`, ... epochs below the full length."""

    def __init__(self, epochs: int, first: int, eta: int = 3, objective: Objective = OBJECTIVE) -> None:
        self.eta = eta
        self.epochs: tuple[int, ...] = tuple(_milestones(first, epochs, eta))
        self._objective = objective
        self._recorded: dict[int, dict[str, float]] = {epoch: {} for epoch in self.epochs}

    def cutoff(self, epoch: int) -> float | None:
        """The value that the best 1/eta at a rung have; None while nobody was there."""
        values = list(self._recorded[epoch].values())
        if not values:
            return None
        share = 1 / self.eta if self._objective.mode == "min" else 1 - 1 / self.eta
        return float(np.percentile(values, 100 * share))

    def reach(
        self,
        trial_id: str,
        epoch: int,
        value: float,
        records: Sequence[TrialRecord],
        *,
        protected: bool = False,
    ) -> Decision | None:
        """Record a trial's running best at the highest rung it has reached; None where there is nothing to decide.

        `records` are the search's trials so far, of which those of full length say what the rung foretells.
        """
        for rung in reversed(self.epochs):
            if epoch < rung or trial_id in self._recorded[rung] or not math.isfinite(value):
                continue
            cutoff, hopeless = self.cutoff(rung), hopeless_beyond(records, rung)
            if cutoff is None or hopeless is None:
                cutoff = None
            elif self._objective.better(cutoff, hopeless):
                cutoff = hopeless
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
    at_rung, at_end = _rungs_and_ends(records, rung)
    if len(at_rung) < FEWEST_FOR_A_CORRELATION or at_rung.std() == 0 or at_end.std() == 0:
        return RungCorrelation(rung, len(at_rung), None)
    return RungCorrelation(rung, len(at_rung), float(np.corrcoef(_ranks(at_rung), _ranks(at_end))[0, 1]))


def hopeless_beyond(records: Sequence[TrialRecord], rung: int) -> float | None:
    """The running best at `rung` from which on a new best end is hardly possible; None where the rung cannot tell.

    Least squares of the end on the rung over the full-length trials; the chance is that of the t-distributed prediction
    for one more trial, without the small share that the line's slope adds to it.
    """
    correlation = rung_correlation(records, rung).value
    if correlation is None or correlation < FEWEST_CORRELATION:
        return None
    from scipy.stats import t

    at_rung, at_end = _rungs_and_ends(records, rung)
    count = len(at_rung)
    slope = float(np.polyfit(at_rung, at_end, 1)[0])
    if slope <= 0:
        return None
    off = at_end - at_end.mean() - slope * (at_rung - at_rung.mean())
    spread = math.sqrt(float(off @ off) / (count - 2) * (1 + 1 / count))
    margin = float(t.ppf(1 - SLIGHT_CHANCE, count - 2)) * spread
    best = at_end.min() + margin if OBJECTIVE.mode == "min" else at_end.max() - margin
    return float(at_rung.mean() + (best - at_end.mean()) / slope)


def _rungs_and_ends(records: Sequence[TrialRecord], rung: int) -> tuple[np.ndarray, np.ndarray]:
    """The running best at the rung and the end of each full-length trial, [trials] each."""
    ends = curve_ends(records)
    there = [record for record in full_length(records) if rung in record.running_best]
    return np.array([r.running_best[rung] for r in there]), np.array([ends[r.trial_id] for r in there])


def _ranks(values: np.ndarray) -> np.ndarray:
    order = np.sort(values)
    return (np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right") - 1) / 2


def _milestones(first: int, epochs: int, eta: int) -> Iterable[int]:
    rung = max(first, 1)
    while rung < epochs:
        yield rung
        rung *= eta
