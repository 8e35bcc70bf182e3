"""Asynchronous successive halving as plain rules: who stops at which rung, and how well rungs foretell the end.

The rungs, and the decision on each trial as it comes to one, are those of Li et al., A System for Massively Parallel
Hyperparameter Tuning (2020). Their cutoff, the best 1/eta of those before, stops as many where a rung says nothing of
the end as where it says all, and hardly any once a model suggests only good configs. Here the full-length trials
draw it: over them the order at the rung must agree with the order at the end, and a trial stops where the line from
rung to end, with the spread of the trials around it, leaves hardly a chance of a new best. Until enough trials have run
to the end, none stops in a small sweep, and in a large one their own cutoff holds. Where only stopped trials are left
the line cannot correct itself, so the best of four that would be stopped in a row continues.

A decision follows from the records in the journal alone, so a resumed sweep decides the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.common.budget import Budget
from sweeps.trials.final_values import FullLengthCurves
from sweeps.trials.record import TrialRecord

ETA = 3
FEWEST_FOR_A_CORRELATION = 4
FEWEST_CORRELATION = 0.5
SLIGHT_CHANCE = 0.1  # of a new best, with which a trial may be stopped
FEWEST_FOR_A_SHARE = 3
STOPS_IN_A_ROW = 3  # after which a trial that is better than these continues, so that the line sees new ends


@dataclass(frozen=True)
class Decision:
    """What happened to a trial at a rung; `cutoff` is None while it is not known what the rung foretells."""

    epoch: int
    value: float
    cutoff: float | None
    stop: bool

    def __str__(self) -> str:
        if self.cutoff is None:
            return f"{self.value:.4f} at epoch {self.epoch}, where no trial is stopped yet"
        return f"{self.value:.4f} at epoch {self.epoch}, where {self.cutoff:.4f} was needed"


class Rungs:
    """The rungs at `first`, `first * eta`, ... epochs below the full length, and which trials came to each of them."""

    def __init__(self, epochs: int, first: int, eta: int = ETA, *, halves: bool = False) -> None:
        """`halves` lets only the best 1/eta at a rung continue while too few trials have run to the end."""
        self.eta = eta
        self._halves = halves
        self.epochs: tuple[int, ...] = tuple(_milestones(first, epochs, eta))
        self._came: dict[int, set[str]] = {epoch: set() for epoch in self.epochs}

    @classmethod
    def of(cls, budget: Budget) -> Rungs:
        """The rungs of a sweep with this budget."""
        return cls(budget.epochs, budget.first_rung, halves=budget.explores)

    def reach(
        self,
        trial_id: str,
        epoch: int,
        cost: float,
        records: Sequence[TrialRecord],
        *,
        protected: bool = False,
    ) -> Decision | None:
        """Decide on a trial's best cost at the highest rung it has reached; None where there is nothing to decide.

        `records` are the search's trials so far, always of one journal, of which those of full length say what the rung
        foretells.
        """
        rung = self._due(trial_id, epoch, cost)
        if rung is None:
            return None
        self._came[rung].add(trial_id)
        curves = FullLengthCurves(records)
        early = self._halves and len(curves) < FEWEST_FOR_A_CORRELATION
        cutoff = self._best_share(records, rung) if early else hopeless_beyond(curves, rung)
        worse = cutoff is not None and cost > cutoff
        stop = worse and not protected and not _best_of_four_stops(records, trial_id, rung, cost)
        return Decision(rung, cost, cutoff, stop=stop)

    def _best_share(self, records: Sequence[TrialRecord], rung: int) -> float | None:
        """The worst of the best 1/eta of the costs at a rung so far; None of fewer than three."""
        costs = sorted(
            record.running_cost[rung]
            for record in records
            if record.trial_id in self._came[rung] and rung in record.running_cost
        )
        return costs[max(len(costs) // self.eta, 1) - 1] if len(costs) >= FEWEST_FOR_A_SHARE else None

    def _due(self, trial_id: str, epoch: int, cost: float) -> int | None:
        """The rung at which there is something to decide on a trial now."""
        for rung in reversed(self.epochs):
            if epoch >= rung and trial_id not in self._came[rung] and math.isfinite(cost):
                return rung
        return None

    def restore(self, records: Iterable[TrialRecord]) -> None:
        """Remember who came to a rung already, from their events in the journal."""
        for record in records:
            for event in record.rungs:
                epoch = event.get("epoch")
                if isinstance(epoch, int) and epoch in self._came:
                    self._came[epoch].add(record.trial_id)


@dataclass(frozen=True)
class RungCorrelation:
    """Spearman's rank correlation between the rung and the end over the trials that ran to the end."""

    rung: int
    trials: int
    value: float | None


def rung_correlation(records: Sequence[TrialRecord], rung: int) -> RungCorrelation:
    """How well the order at `rung` foretold the order at the end."""
    at_rung, at_end = _rungs_and_ends(FullLengthCurves(records), rung)
    return RungCorrelation(rung, len(at_rung), rank_correlation(at_rung, at_end))


def hopeless_beyond(curves: FullLengthCurves, rung: int) -> float | None:
    """The best cost at `rung` from which on a new best end is hardly possible; None where the rung cannot tell.

    Least squares of the end on the rung over the full-length trials; the chance is that of the t-distributed prediction
    for one more trial, without the small share that the line's slope adds to it.
    """
    at_rung, at_end = _rungs_and_ends(curves, rung)
    correlation = rank_correlation(at_rung, at_end)
    if correlation is None or correlation < FEWEST_CORRELATION:
        return None
    from scipy.stats import t

    count = len(at_rung)
    slope = float(np.polyfit(at_rung, at_end, 1)[0])
    if slope <= 0:
        return None
    off = at_end - at_end.mean() - slope * (at_rung - at_rung.mean())
    spread = math.sqrt(float(off @ off) / (count - 2) * (1 + 1 / count))
    margin = float(t.ppf(1 - SLIGHT_CHANCE, count - 2)) * spread
    return float(at_rung.mean() + (at_end.min() + margin - at_end.mean()) / slope)


def _best_of_four_stops(records: Sequence[TrialRecord], trial_id: str, rung: int, cost: float) -> bool:
    """Whether the last three decisions at the rung were stops, each of a trial that was worse there."""
    decided = [
        (record.sign * float(str(event["value"])), event)
        for record in records
        if record.trial_id != trial_id
        for event in record.rungs
        if event.get("epoch") == rung and event.get("value") is not None
    ]
    decided.sort(key=lambda entry: float(str(entry[1].get("time", 0.0))))
    last = decided[-STOPS_IN_A_ROW:]
    return len(last) == STOPS_IN_A_ROW and all(
        event.get("decision") == "stop" and cost < value for value, event in last
    )


def _rungs_and_ends(curves: FullLengthCurves, rung: int) -> tuple[np.ndarray, np.ndarray]:
    """The running best at the rung and the end of each full-length trial that has both, [trials] each."""
    at_rung = curves.at(rung)
    there = np.isfinite(at_rung)
    return at_rung[there], curves.ends[there]


def rank_correlation(at_rung: np.ndarray, at_end: np.ndarray) -> float | None:
    """Spearman's; None of fewer than four pairs, or where nothing differs."""
    if len(at_rung) < FEWEST_FOR_A_CORRELATION or at_rung.std() == 0 or at_end.std() == 0:
        return None
    return float(np.corrcoef(ranks_of(at_rung), ranks_of(at_end))[0, 1])


def ranks_of(values: np.ndarray) -> np.ndarray:
    """Ranks from 0; equal values share the mean of theirs."""
    order = np.sort(values)
    return (np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right") - 1) / 2


def _milestones(first: int, epochs: int, eta: int) -> Iterable[int]:
    rung = max(first, 1)
    while rung < epochs:
        yield rung
        rung *= eta
