"""Final values of full-length trials, as costs: a lucky evaluation in a noisy early epoch does not count as the end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from sweeps.trials.record import TrialRecord

FEWEST_CURVES = 3
BEYOND_NOISE = 4.0  # standard deviations; a curve offers many epochs, and the luckiest of them must not count


def full_length(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that ran to the end with a result."""
    return [record for record in records if record.status == "finished" and record.objective is not None]


class FullLengthCurves:
    """The learning curves of the full-length trials among some records, in the order of their start."""

    def __init__(self, records: Sequence[TrialRecord] = ()) -> None:
        self._records = full_length(records)

    def __len__(self) -> int:
        return len(self._records)

    @property
    def ids(self) -> list[str]:
        """The trials' ids."""
        return [record.trial_id for record in self._records]

    @cached_property
    def ends(self) -> np.ndarray:
        """Their final costs, [trials]."""
        table = cost_table([record.costs for record in self._records])
        return _ends(table, epoch_noise(table))

    def at(self, epoch: int) -> np.ndarray:
        """Their best cost up to an epoch, [trials]; NaN where they did not report it."""
        return np.array([record.running_cost.get(epoch, math.nan) for record in self._records])


def curve_ends(records: Sequence[TrialRecord]) -> dict[str, float]:
    """The end of each full-length trial by its id: its last value, or an earlier one that is better beyond the noise.

    Where noise does not shrink along the curve this differs from the best epoch's value by less than the noise.
    """
    curves = FullLengthCurves(records)
    return dict(zip(curves.ids, curves.ends.tolist(), strict=True))


def ranked_by_end(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that may be recommended, the best first: by their ends, so that a lucky early epoch wins nothing.

    A trial that was stopped at a rung comes after all others: it had hardly a chance of a better end.
    """
    ends = curve_ends(records)

    def order(record: TrialRecord) -> tuple[bool, float, str]:
        cost, name = record.rank
        met = record.last_report.get("feasible") is not False  # else its end is not what is recommended
        return record.status == "stopped", ends.get(name, cost) if met else cost, name

    return sorted((record for record in records if record.recommendable), key=order)


def epoch_noise(table: np.ndarray) -> dict[int, float]:
    """The standard deviation of the noise by epoch, from how far each value stands off the line of its neighbours.

    A bend that the curves share is none, and neither is one that only a few of them have; epochs that fewer than three
    curves have are left out. The first and the last epoch are given their neighbour's.
    """
    last = _last(table).max(initial=0)
    by_epoch = np.ascontiguousarray(table.T)
    bends = (by_epoch[2:] - 2 * by_epoch[1:-1] + by_epoch[:-2]) / math.sqrt(6)
    by_epoch_bends = [bend[np.isfinite(bend)] for bend in bends]
    noise = {epoch: _spread(bend) for epoch, bend in enumerate(by_epoch_bends, 1) if len(bend) >= FEWEST_CURVES}
    for edge, neighbour in ((1, 2), (last, last - 1)):
        if neighbour in noise:
            noise.setdefault(edge, noise[neighbour])
    return noise


def cost_table(curves: Sequence[Mapping[int, float]]) -> np.ndarray:
    """Values [curves, epochs + 1]; NaN where there is none, as in column 0."""
    last = max((epoch for curve in curves for epoch in curve), default=0)
    table = np.full((len(curves), last + 1), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[list(curve)] = list(curve.values())
    return table


def _last(table: np.ndarray) -> np.ndarray:
    """The last epoch of each curve, [curves]; 0 for one without values."""
    last: np.ndarray = (np.isfinite(table) * np.arange(table.shape[1])).max(axis=1, initial=0)
    return last


def _spread(values: np.ndarray) -> float:
    """The standard deviation by the median absolute deviation, which outliers do not move."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _ends(table: np.ndarray, noise: Mapping[int, float]) -> np.ndarray:
    by_epoch = BEYOND_NOISE * np.array([noise.get(epoch, 0.0) for epoch in range(table.shape[1])])
    final = table[np.arange(len(table)), _last(table)]
    better = np.where(table + by_epoch < final[:, None], table, np.inf)
    ends: np.ndarray = np.minimum(better.min(axis=1, initial=np.inf), final)
    return ends
