"""How many times faster one trial reaches a target than another, as a number where it is known and a bound where it is
not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sweeps.confirm.convergence import Crossing, Targets, crossing_at
from sweeps.confirm.learning_curve import Curve
from sweeps.confirm.paired_test import t_quantile

TARGET_PERCENT = 90
"""The target whose crossing `epochs_to_target` and every speed-up mean."""


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """Default's updates to the target / the trial's: somewhere from `low` to `high`, known where these are equal."""

    low: float
    high: float

    @property
    def value(self) -> float | None:
        """The speed-up where it is known exactly, else None."""
        return self.low if self.low == self.high else None

    @property
    def bound(self) -> str:
        """'' where the speed-up is known exactly, else 'at least 1.20', 'at most 0.80' or 'unknown'."""
        if self.value is not None:
            return ""
        if self.low > 0:
            return f"at least {self.low:.2f}"
        return f"at most {self.high:.2f}" if math.isfinite(self.high) else "unknown"


def speed_up(trial: Curve, default: Curve, targets: Targets, percent: int = TARGET_PERCENT) -> SpeedUp | None:
    """Default's / trial's updates to the target: above 1 where the trial is faster; None where there is no target.

    A censored side gives a bound, not a number. A curve against itself is exactly 1, even if both lie before the first
    evaluation.
    """
    if targets.undefined is not None:
        return None
    if _is_same(trial, default):
        return SpeedUp(1.0, 1.0)
    default_low, default_high = _updates_between(crossing_at(default, targets, percent))
    trial_low, trial_high = _updates_between(crossing_at(trial, targets, percent))
    return SpeedUp(low=_ratio(default_low, trial_high), high=_ratio(default_high, trial_low))


@dataclass(frozen=True, slots=True)
class SpeedUpOverSeeds:
    """A speed-up over paired seeds, with the interval that covers it with probability `confidence`.

    `value` is the geometric mean; None where a seed is censored, and then `low` and `high` are bounds of the median
    that hold with `confidence` each (0 and inf: no bound).
    """

    value: float | None
    low: float
    high: float
    confidence: float
    seeds: int
    censored: int
    reached: int | None = None
    """In how many seeds the trial reached the target"""
    default_reached: int | None = None
    wall_clock: float | None = field(default=None, compare=False)
    """The same ratio in training seconds; descriptive, without an interval, and another one each time"""

    def __str__(self) -> str:
        """For instance '1.42x (1.10x to 1.80x)' or 'at least 1.20x'."""
        if self.value is not None and self.seeds == 1:
            return f"{self.value:.2f}x (one seed)"
        if self.value is not None:
            return f"{self.value:.2f}x ({self.low:.2f}x to {self.high:.2f}x)"
        if self.low > 0 and math.isfinite(self.high):
            return f"{self.low:.2f}x to {self.high:.2f}x"
        if self.low > 0:
            return f"at least {self.low:.2f}x"
        return f"at most {self.high:.2f}x" if math.isfinite(self.high) else "unknown"


def speed_up_over_seeds(
    pairs: Mapping[int, tuple[Curve, Curve]],
    mean_frame_error: float | None,
    *,
    confidence: float = 0.95,
) -> SpeedUpOverSeeds | None:
    """The speed-up over (trial, default) curves paired by seed; None without pairs or without a target.

    The target is one for all seeds (default's ends averaged): with a target from each default's own end, chance would
    make the default look faster. Where all seeds are known: Student's t interval of the mean log speed-up, with an
    error that carries the target's own uncertainty (a jackknife over pairs: without a pair the target is another one)
    and the evaluation grid (a crossing lies anywhere between two evaluations). Where one is censored: bounds of the
    median from order statistics, exact at any censoring and any shape (Conover, Practical Nonparametric Statistics,
    3.2): the highest rank that reaches `confidence` one-sided, else the extreme seed with the confidence 1 - 2^-n that
    it has; of the bounds at the target and at both ends of its interval, the widest.
    """
    targets = Targets.between(mean_frame_error, [default for _, default in pairs.values()])
    found = _at_targets(pairs, targets, confidence)
    if found is None:
        return None
    if found.value is None:
        for shifted in _shifted(pairs, targets, confidence):
            other = _at_targets(pairs, shifted, confidence)
            if other is not None and other.value is None:  # where neither side gets there, nothing is learned
                low = min(found.low, other.low) if other.low > 0 else found.low
                high = max(found.high, other.high) if other.high < math.inf else found.high
                found = replace(found, low=low, high=high)
    elif found.seeds > 1:
        found = _with_all_errors(found, pairs, mean_frame_error, confidence)
    return replace(found, **_reached(pairs, targets))


def _at_targets(
    pairs: Mapping[int, tuple[Curve, Curve]], targets: Targets, confidence: float
) -> SpeedUpOverSeeds | None:
    known = [speed_up(trial, default, targets) for trial, default in pairs.values()]
    return combine([one for one in known if one is not None], confidence)


def _shifted(pairs: Mapping[int, tuple[Curve, Curve]], targets: Targets, confidence: float) -> list[Targets]:
    """The targets at both ends of the interval of the default's mean end."""
    ends = [default.end for _, default in pairs.values() if math.isfinite(default.end)]
    if targets.undefined is not None or len(ends) < 2:
        return []
    mean = math.fsum(ends) / len(ends)
    error = math.sqrt(math.fsum((end - mean) ** 2 for end in ends) / (len(ends) - 1) / len(ends))
    half = t_quantile((1 + confidence) / 2, len(ends) - 1) * error
    return [replace(targets, default_end=end) for end in (mean - half, mean + half) if end < targets.mean_frame_error]


def _with_all_errors(
    found: SpeedUpOverSeeds,
    pairs: Mapping[int, tuple[Curve, Curve]],
    mean_frame_error: float | None,
    confidence: float,
) -> SpeedUpOverSeeds:
    """The interval of seeds that are all known, with the target's uncertainty and the grid's."""
    seeds = list(pairs)
    without = []
    for left_out in seeds:
        rest = {seed: pair for seed, pair in pairs.items() if seed != left_out}
        targets = Targets.between(mean_frame_error, [default for _, default in rest.values()])
        one = _at_targets(rest, targets, confidence)
        if one is not None and one.value is not None:
            without.append(math.log(one.value))
    mean, count = math.log(found.value or 1.0), len(seeds)
    jackknife = 0.0
    if len(without) == count:  # else without a pair its target is not reached by all: the seeds' own spread remains
        middle = math.fsum(without) / count
        jackknife = (count - 1) / count * math.fsum((one - middle) ** 2 for one in without)
    targets = Targets.between(mean_frame_error, [default for _, default in pairs.values()])
    crossings = [(c, crossing_at(c, targets, TARGET_PERCENT)) for pair in pairs.values() for c in pair]
    same = sum(_is_same(trial, default) for trial, default in pairs.values()) == count
    grid = 0.0 if same else math.fsum(_bracket(c, crossing) ** 2 / 12 for c, crossing in crossings) / count**2
    quantile = t_quantile((1 + confidence) / 2, count - 1)
    plain = ((math.log(found.high) - mean) / quantile) ** 2 if math.isfinite(found.high) else 0.0
    half = quantile * math.sqrt(max(jackknife, plain) + grid)
    return replace(found, low=_exp(mean - half), high=_exp(mean + half))


def _bracket(curve: Curve, crossing: Crossing) -> float:
    """The distance in log updates between the evaluations around a crossing."""
    if crossing.at is None:
        return 0.0
    updates = [one.updates for one in curve.finite]
    before = max((one for one in updates if one < crossing.at.updates), default=crossing.at.updates)
    after = min((one for one in updates if one >= crossing.at.updates), default=crossing.at.updates)
    return math.log(after / before)


def _reached(pairs: Mapping[int, tuple[Curve, Curve]], targets: Targets) -> dict[str, Any]:
    """How many of either side reached the target, and the ratio of their training seconds where all are known."""
    both = [
        (
            crossing_at(trial, targets, TARGET_PERCENT),
            crossing_at(default, targets, TARGET_PERCENT),
        )
        for trial, default in pairs.values()
    ]
    logs = [
        math.log(theirs.at.seconds / ours.at.seconds)
        for ours, theirs in both
        if ours.at is not None and theirs.at is not None and ours.at.seconds > 0 and theirs.at.seconds > 0
    ]
    return {
        "reached": sum(ours.censored != "right" for ours, _ in both),
        "default_reached": sum(theirs.censored != "right" for _, theirs in both),
        "wall_clock": math.exp(math.fsum(logs) / len(logs)) if len(logs) == len(both) and logs else None,
    }


def combine(speed_ups: Sequence[SpeedUp], confidence: float = 0.95) -> SpeedUpOverSeeds | None:
    """One speed-up with its interval from a speed-up for each seed; None if there are none."""
    seeds = len(speed_ups)
    if seeds == 0:
        return None
    censored = sum(one.value is None for one in speed_ups)
    if censored:
        rank, reached = _median_rank(seeds, confidence)
        low = sorted(one.low for one in speed_ups)[rank - 1]
        high = sorted((one.high for one in speed_ups), reverse=True)[rank - 1]
        return SpeedUpOverSeeds(None, low, high, reached, seeds, censored)
    logs = [math.log(one.low) for one in speed_ups]
    mean = math.fsum(logs) / seeds
    if seeds == 1:
        return SpeedUpOverSeeds(math.exp(mean), 0.0, math.inf, confidence, seeds, censored)
    spread = math.sqrt(math.fsum((log - mean) ** 2 for log in logs) / (seeds - 1) / seeds)
    half = t_quantile((1 + confidence) / 2, seeds - 1) * spread
    return SpeedUpOverSeeds(math.exp(mean), _exp(mean - half), _exp(mean + half), confidence, seeds, censored)


def _is_same(one: Curve, other: Curve) -> bool:
    # NaN is not equal to itself, so two readings of one recorded curve are compared by their text.
    if len(one.evaluations) != len(other.evaluations):
        return False
    return all(repr(ours) == repr(theirs) for ours, theirs in zip(one.evaluations, other.evaluations, strict=True))


def _updates_between(crossing: Crossing) -> tuple[float, float]:
    if crossing.at is not None:
        return crossing.at.updates, crossing.at.updates
    at = crossing.censored_at.updates if crossing.censored_at else 0.0
    return (0.0, at) if crossing.censored == "left" else (at, math.inf)


def _ratio(numerator: float, denominator: float) -> float:
    if numerator == 0.0 or denominator == math.inf:
        return 0.0
    return math.inf if numerator == math.inf or denominator == 0.0 else numerator / denominator


def _median_rank(seeds: int, confidence: float) -> tuple[int, float]:
    below = [sum(math.comb(seeds, k) for k in range(rank)) * 0.5**seeds for rank in range(1, seeds + 1)]
    ranks = [rank for rank, miss in enumerate(below, start=1) if 1 - miss >= confidence]
    rank = max(ranks, default=1)
    return rank, 1 - below[rank - 1]


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
