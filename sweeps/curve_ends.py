"""Where full-length trials ended, told so that a lucky evaluation in a noisy early epoch does not count as the end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sweeps.objective import OBJECTIVE
from sweeps.records import TrialRecord

FEWEST_CURVES = 3
BEYOND_NOISE = 4.0  # standard deviations; a curve offers many epochs, and the luckiest of them must not count


def full_length(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that ran to the end with a result."""
    return [record for record in records if record.status == "finished" and record.objective is not None]


def curve_ends(records: Sequence[TrialRecord]) -> dict[str, float]:
    """The end of each full-length trial by its id: its last value, or an earlier one that is better beyond the noise.

    Where noise does not shrink along the curve this differs from the best epoch's value by less than the noise.
    """
    finished = full_length(records)
    noise = epoch_noise(finished)
    return {record.trial_id: _end(record, noise) for record in finished}


def epoch_noise(records: Sequence[TrialRecord]) -> dict[int, float]:
    """The standard deviation of the noise by epoch, from how far each value stands off the line of its neighbours.

    A bend that the curves share is none, and neither is one that only a few of them have; epochs that fewer than three
    curves tell of are left out. The first and the last epoch are given their neighbour's.
    """
    curves = [values_by_epoch(record) for record in records]
    last = max((epoch for curve in curves for epoch in curve), default=0)
    table = np.full((len(curves), last + 1), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[list(curve)] = list(curve.values())
    bends = (table[:, 2:] - 2 * table[:, 1:-1] + table[:, :-2]) / math.sqrt(6)
    noise = {
        epoch: _spread(bend[np.isfinite(bend)])
        for epoch, bend in enumerate(bends.T, 1)
        if np.isfinite(bend).sum() >= FEWEST_CURVES
    }
    for edge, neighbour in ((1, 2), (last, last - 1)):
        if neighbour in noise:
            noise.setdefault(edge, noise[neighbour])
    return noise


def values_by_epoch(record: TrialRecord) -> dict[int, float]:
    """The finite objectives of a trial by epoch."""
    found = {}
    for report in record.reports:
        value, epoch = OBJECTIVE.value(report), report.get("epoch")
        if value is not None and isinstance(epoch, int):
            found[epoch] = value
    return found


def _spread(values: np.ndarray) -> float:
    """The standard deviation by the median absolute deviation, which outliers do not move."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _end(record: TrialRecord, noise: Mapping[int, float]) -> float:
    curve = values_by_epoch(record)
    last = curve[max(curve)]
    worse = 1.0 if OBJECTIVE.mode == "min" else -1.0
    better = [
        value
        for epoch, value in curve.items()
        if OBJECTIVE.better(value + worse * BEYOND_NOISE * noise.get(epoch, 0.0), last)
    ]
    return min((*better, last), key=lambda value: worse * value)
