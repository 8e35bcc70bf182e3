"""A trial's learning curve, which convergence and verdict are computed from: its objectives are costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from sweeps.trials.objective import number
from sweeps.trials.record import TrialRecord

CURVE = "curve"  # where a record keeps its curve: it never changes, and is asked for again and again

Ending = Literal["end", "rung", "diverged", "budget", "failed", "running"]
"""Why a curve stops where it does; also the reason of a right-censored crossing."""

ENDINGS: Mapping[str | None, Ending] = {
    "finished": "end",
    "stopped": "rung",
    "diverged": "diverged",
    "failed": "failed",
    "budget": "budget",
    None: "running",
}
"""A trial's status (None: still running) to why its curve ended."""

END_EVALUATIONS = 3


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in training: updates, epochs, seconds of speech consumed, seconds trained (NaN: unknown)."""

    updates: float
    epochs: float
    audio_seconds: float
    seconds: float


START = Moment(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One measured objective and where in training it was measured (all counts cumulative)."""

    updates: float
    epoch: float
    audio_seconds: float
    seconds: float
    objective: float

    @property
    def moment(self) -> Moment:
        """Where in training this evaluation stands."""
        return Moment(self.updates, self.epoch, self.audio_seconds, self.seconds)


@dataclass(frozen=True, slots=True)
class Curve:
    """A trial's evaluations in order, and why there are no more; ValueError where updates do not rise from above 0."""

    evaluations: tuple[Evaluation, ...]
    ended: Ending = "end"

    def __post_init__(self) -> None:
        updates = [evaluation.updates for evaluation in self.evaluations]
        if any(not 0 < step < math.inf for step in updates):
            raise ValueError(f"evaluations stand at updates {updates}: each must be a finite number above 0")
        if any(later <= earlier for earlier, later in pairwise(updates)):
            raise ValueError(f"evaluations stand at updates {updates}: each must come after the one before it")

    @classmethod
    def from_reports(cls, reports: Iterable[Mapping[str, object]], ended: Ending = "end", sign: float = 1.0) -> Curve:
        """The curve in a trial's epoch reports: their `evaluations`, or the report itself where a trainer gives none.

        What a retried trial reports again replaces what it reported before. A trainer without `updates` counts in
        epochs. `sign` is -1 where the objective is maximised: the curve is one of costs.
        """
        entries = [entry for report in reports for entry in _entries(report)]
        counted = any(entry.get("updates") is not None for entry in entries)
        kept: list[Evaluation] = []
        for entry in entries:
            # A diverged epoch may come without its updates: it has no place on the curve, and `ended` tells of it.
            if counted and entry.get("updates") is None:
                continue
            evaluation = _evaluation(entry, sign)
            while kept and kept[-1].updates >= evaluation.updates:
                kept.pop()
            kept.append(evaluation)
        return cls(tuple(kept), ended)

    @property
    def end(self) -> float:
        """The mean objective of the last three evaluations (of all, if fewer); NaN for a diverged or empty curve."""
        last = [evaluation.objective for evaluation in self.evaluations[-END_EVALUATIONS:]]
        if not last or self.ended == "diverged" or not all(map(math.isfinite, last)):
            return math.nan
        return math.fsum(last) / len(last)

    @property
    def finite(self) -> tuple[Evaluation, ...]:
        """The evaluations whose objective is a finite number."""
        return tuple(evaluation for evaluation in self.evaluations if math.isfinite(evaluation.objective))


def learning_curve(record: TrialRecord) -> Curve:
    """The trial's curve, without a point where its trainer counts updates in a way that makes no curve."""
    known = record.__dict__.get(CURVE)
    if not isinstance(known, Curve):
        known = record.__dict__[CURVE] = _curve_of(record)
    return known


def mean_frame_error(records: Iterable[TrialRecord]) -> float | None:
    """The error of always predicting the mean frame, as a cost: the first that is reported; None where none is."""
    for record in records:
        for report in record.reports:
            error = number(report.get("mean_frame_error"))
            if error is not None:
                return record.sign * error
    return None


def _curve_of(record: TrialRecord) -> Curve:
    ended = ENDINGS.get(record.status, "failed")
    try:
        return Curve.from_reports(record.reports, ended, record.sign)
    except ValueError:
        return Curve((), ended)


def _entries(report: Mapping[str, object]) -> list[Mapping[str, object]]:
    inner = report.get("evaluations")
    found = [entry for entry in inner if isinstance(entry, Mapping)] if isinstance(inner, list | tuple) else []
    return found or [report]


def _evaluation(entry: Mapping[str, object], sign: float) -> Evaluation:
    epoch = _number(entry.get("epoch"))
    updates = _number(entry.get("updates"))
    return Evaluation(
        updates=epoch if math.isnan(updates) else updates,
        epoch=epoch,
        audio_seconds=_number(entry.get("audio_seconds")),
        seconds=_number(entry.get("seconds")),
        objective=sign * _number(entry.get("objective")),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float | str) else math.nan
