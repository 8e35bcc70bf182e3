"""Curves of a training log in bounded memory, and the statistics that rules over them need."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_POINTS = 4096
"""A longer curve is kept as this many buckets at most: mean, smallest and largest value of consecutive points."""
LARGEST, SMALLEST, LARGEST_STEP = 1e30, 1e-30, 1e15
"""A value beyond the first has diverged as surely as infinity; a step beyond the last is damage"""
STUDENT = {3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447}
"""97.5 % quantiles of Student's t by degrees of freedom; SciPy takes a second to import"""
BLOCKS = 20
"""A curve's shape is judged by this many means of consecutive points."""


@dataclass(frozen=True)
class Slope:
    """Relative change over a stretch of a curve, with a 95 % interval; -0.02: it fell by 2 %."""

    change: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """A logged quantity: `steps`, `values`, and the smallest and largest value of the points behind each entry."""

    steps: Floats
    values: Floats
    low: Floats
    high: Floats
    count: int
    """Finite points in the log"""
    bad_steps: tuple[int, ...] = ()
    """Steps of the first values that were not finite"""
    bad_count: int = 0
    resumes: tuple[tuple[int, int], ...] = ()
    """(last step before, first step after) wherever the steps went back"""

    def __len__(self) -> int:
        return len(self.values)

    def blocks(self, blocks: int = BLOCKS) -> Floats:
        """Means of consecutive stretches of equal length, fewer where the curve is short."""
        return np.array([part.mean() for part in np.array_split(self.values, min(blocks, len(self)))])

    def around(self, step: float) -> float:
        """Mean of the values around a step: a twentieth of the curve."""
        place, reach = int(np.searchsorted(self.steps, step)), max(1, len(self) // 40)
        return float(self.values[max(0, min(place, len(self) - 1) - reach) : place + reach + 1].mean())

    def noise(self) -> float:
        """Standard deviation of single values around a smooth trend, from second differences; 0 if too short."""
        if len(self) < 5:
            return 0.0
        last = self.values[-max(6, len(self) // 2) :]  # at its start a loss bends too much
        return float(np.sqrt(np.mean(np.square(np.diff(last, n=2))) / 6))

    def slope(self, share: float = 1 / 3) -> Slope | None:
        """Least squares over the means of the last `share` of the curve; None where that is too short."""
        last = self.values[-max(5, round(share * len(self))) :]
        if len(last) < 5 or last.mean() == 0:
            return None
        means = np.array([part.mean() for part in np.array_split(last, min(8, len(last)))])
        places = np.arange(len(means)) - (len(means) - 1) / 2
        spread = float(places @ places)
        rise = float(places @ means) / spread
        left = means - means.mean() - rise * places
        error = math.sqrt(float(left @ left) / (len(means) - 2) / spread)
        reach = (len(means) - 1) / abs(last.mean())
        half = STUDENT[len(means) - 2] * error
        return Slope(*(float(one * reach) for one in (rise, rise - half, rise + half)))

    def plateau_start(self) -> int | None:
        """The step from which on the curve stays within 1 % (or its noise) of its end; None where it does not."""
        means = self.blocks()
        if len(means) < 6:
            return None
        end = means[-2:].mean()
        width = max(0.01 * abs(end), 2 * self.noise() / math.sqrt(max(1.0, len(self) / len(means))))
        outside = np.flatnonzero(np.abs(means - end) > width)
        first = int(outside[-1]) + 1 if len(outside) else 0
        if first == 0 or first > len(means) - 3:
            return None
        return int(self.steps[round(first * len(self) / len(means))])

    def scaled(self, factor: float) -> Curve:
        """The curve with every value multiplied by a positive factor."""
        return replace(self, values=self.values * factor, low=self.low * factor, high=self.high * factor)


@dataclass
class CurveBuilder:
    """Collects a curve piece by piece. Where the steps go back, a resumed run replaces what was logged after that."""

    width: int = 1
    """Points in each finished bucket"""
    buckets: Floats = field(default_factory=lambda: np.empty((5, 0)))
    """[5, buckets]: last step, mean, smallest and largest value, points"""
    pending: list[Floats] = field(default_factory=list)
    """The same for single points that no bucket holds yet"""
    bad_steps: list[int] = field(default_factory=list)
    bad_count: int = 0
    resumes: list[tuple[int, int]] = field(default_factory=list)
    last_step: float = -math.inf

    def add(self, steps: Floats, values: Floats, *, new_file: bool = False) -> None:
        """Add points in the order of the log; a `new_file` that begins with the last step replaces it."""
        known = np.abs(steps) < LARGEST_STEP  # False for nan
        steps, values = steps[known], np.where(np.abs(values[known]) < SMALLEST, 0.0, values[known])
        cuts = [0, *(np.flatnonzero(np.diff(steps) < 0) + 1).tolist(), len(steps)]
        if new_file and len(steps) and steps[0] == self.last_step:
            self._forget_from(steps[0])
        for start, stop in pairwise(cuts):
            self._add_rising(steps[start:stop], values[start:stop])

    def curve(self) -> Curve:
        """What was collected; values whose step never changes are counted."""
        step, mean, low, high, points = self._all()
        if len(step) > 2 and step[0] == step[-1]:  # a console that prints no step, or the same one always
            step = np.cumsum(points) - 1
        return Curve(
            step, mean, low, high, int(points.sum()), tuple(self.bad_steps), self.bad_count, tuple(self.resumes)
        )

    def _add_rising(self, steps: Floats, values: Floats) -> None:
        if not len(steps):
            return
        if steps[0] < self.last_step:
            self._forget_from(steps[0])
        self.last_step = float(steps[-1])
        finite = np.abs(values) < LARGEST
        if not finite.all():
            self.bad_count += int((~finite).sum())
            self.bad_steps += [int(step) for step in steps[~finite][: 20 - len(self.bad_steps)]]
            steps, values = steps[finite], values[finite]
        self.pending.append(np.stack([steps, values, values, values, np.ones_like(values)]))
        if sum(part.shape[1] for part in self.pending) >= max(MOST_POINTS, self.width):
            self._fill_buckets()

    def _forget_from(self, step: float) -> None:
        rows = self._all()
        self.resumes.append((int(self.last_step), int(step)))
        self.buckets, self.pending = rows[:, rows[0] < step], []
        kept = [bad for bad in self.bad_steps if bad < step]
        self.bad_count -= len(self.bad_steps) - len(kept)
        self.bad_steps = kept

    def _all(self) -> Floats:
        return np.concatenate([self.buckets, *self.pending], axis=1)

    def _fill_buckets(self) -> None:
        rows = np.concatenate(self.pending, axis=1)
        whole = rows.shape[1] // self.width * self.width
        self.buckets = np.concatenate([self.buckets, _merged(rows[:, :whole], self.width)], axis=1)
        self.pending = [rows[:, whole:]]
        while self.buckets.shape[1] > MOST_POINTS:
            self.buckets, self.width = _merged(self.buckets, 2), 2 * self.width


def _merged(rows: Floats, width: int) -> Floats:
    """Rows [5, n] joined in groups of `width`."""
    if width == 1 or not rows.shape[1]:
        return rows
    starts = np.arange(0, rows.shape[1], width)
    ends = np.append(starts[1:], rows.shape[1]) - 1
    points = np.add.reduceat(rows[4], starts)
    mean = np.add.reduceat(rows[1] * rows[4], starts) / points
    low, high = np.minimum.reduceat(rows[2], starts), np.maximum.reduceat(rows[3], starts)
    return np.stack([rows[0][ends], mean, low, high, points])
