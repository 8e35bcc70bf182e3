"""Final values of full-length trials, as costs: a lucky evaluation in a noisy early epoch does not count as the end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sweeps.trials.record import TrialRecord

FEWEST_CURVES = 3
BEYOND_NOISE = 4.0  # standard deviations; a curve offers many epochs, and the luckiest of them must not count


def full_length(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that ran to the end with a result."""
    return [record for record in records if record.status == "finished" and record.objective is not None]


class FullLengthCurves:
    """The curves of one journal's full-length trials, each taken in once, so that a decision costs little after many.

    What is told of them is in the order of their start, and the same as from all records at once.
    """

    def __init__(self, records: Sequence[TrialRecord] = ()) -> None:
        self._records: list[TrialRecord] = []
        self._known: set[str] = set()
        self._places: list[int] = []
        self._order = np.arange(0)
        self._table = np.empty((0, 1))
        self._ends: np.ndarray | None = None
        self._at: dict[int, list[float]] = {}
        self.take_in(records)

    def take_in(self, records: Sequence[TrialRecord]) -> None:
        """Add those that have come to their end since; `records` are the journal's, in the order of their start."""
        known = len(self._records)
        for place, record in enumerate(records):
            if record.status == "finished" and record.trial_id not in self._known and record.objective is not None:
                self._add(place, record)
        if len(self._records) > known:
            self._order = np.argsort(self._places)
            self._ends = None

    def __len__(self) -> int:
        return len(self._records)

    @property
    def ids(self) -> list[str]:
        """The trials' ids."""
        return [self._records[row].trial_id for row in self._order]

    @property
    def ends(self) -> np.ndarray:
        """Their final costs, [trials]."""
        if self._ends is None:
            table = self._table[self._order]
            self._ends = _ends(table, _noise(table))
        return self._ends

    def at(self, epoch: int) -> np.ndarray:
        """Their best cost up to an epoch, [trials]; NaN where they did not report it."""
        known = self._at.setdefault(epoch, [])
        known += [record.running_cost.get(epoch, math.nan) for record in self._records[len(known) :]]
        return np.array(known)[self._order]

    def _add(self, place: int, record: TrialRecord) -> None:
        row, used, (room, width) = _table([record.costs])[0], len(self._records), self._table.shape
        if used == room or len(row) > width:
            larger = np.full((max(2 * used, 64), max(width, len(row))), np.nan)
            larger[:used, :width] = self._table[:used]
            self._table = larger
        self._table[used, : len(row)] = row
        self._records.append(record)
        self._known.add(record.trial_id)
        self._places.append(place)


def curve_ends(records: Sequence[TrialRecord]) -> dict[str, float]:
    """The end of each full-length trial by its id: its last value, or an earlier one that is better beyond the noise.

    Where noise does not shrink along the curve this differs from the best epoch's value by less than the noise.
    """
    curves = FullLengthCurves(records)
    return dict(zip(curves.ids, curves.ends.tolist(), strict=True))


def epoch_noise(records: Sequence[TrialRecord]) -> dict[int, float]:
    """The standard deviation of the noise by epoch, from how far each value stands off the line of its neighbours.

    A bend that the curves share is none, and neither is one that only a few of them have; epochs that fewer than three
    curves tell of are left out. The first and the last epoch are given their neighbour's.
    """
    return _noise(_table([record.costs for record in records]))


def _table(curves: Sequence[Mapping[int, float]]) -> np.ndarray:
    """Values [curves, epochs + 1]; NaN where there is none, as in column 0."""
    last = max((epoch for curve in curves for epoch in curve), default=0)
    table = np.full((len(curves), last + 1), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[list(curve)] = list(curve.values())
    return table


def _noise(table: np.ndarray) -> dict[int, float]:
    last = _last(table).max(initial=0)
    by_epoch = np.ascontiguousarray(table.T)
    bends = (by_epoch[2:] - 2 * by_epoch[1:-1] + by_epoch[:-2]) / math.sqrt(6)
    log = [bend[np.isfinite(bend)] for bend in bends]
    noise = {epoch: _spread(bend) for epoch, bend in enumerate(log, 1) if len(bend) >= FEWEST_CURVES}
    for edge, neighbour in ((1, 2), (last, last - 1)):
        if neighbour in noise:
            noise.setdefault(edge, noise[neighbour])
    return noise


def _last(table: np.ndarray) -> np.ndarray:
    """The last epoch that each curve tells of, [curves]; 0 for one without values."""
    log: np.ndarray = (np.isfinite(table) * np.arange(table.shape[1])).max(axis=1, initial=0)
    return log


def _spread(values: np.ndarray) -> float:
    """The standard deviation by the median absolute deviation, which outliers do not move."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _ends(table: np.ndarray, noise: Mapping[int, float]) -> np.ndarray:
    by_epoch = BEYOND_NOISE * np.array([noise.get(epoch, 0.0) for epoch in range(table.shape[1])])
    final = table[np.arange(len(table)), _last(table)]
    better = np.where(table + by_epoch < final[:, None], table, np.inf)
    ends: np.ndarray = np.minimum(better.min(axis=1, initial=np.inf), final)
    return ends
