"""How many times faster one trial reaches a target than another, as a number where it is known and a bound where it is
not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeps.confirm.convergence import Crossing, Curve, Targets, convergence

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
    default_low, default_high = _updates_between(convergence(default, targets, (percent,)).to(percent))
    trial_low, trial_high = _updates_between(convergence(trial, targets, (percent,)).to(percent))
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
    percent: int = TARGET_PERCENT,
) -> SpeedUpOverSeeds | None:
    """The speed-up over (trial, default) curves paired by seed; None without pairs or without a target.

    The target is one for all seeds (default's ends averaged): with a target from each default's own end, chance would
    make the default look faster. Where all seeds are known: Student's t interval of the mean log speed-up. Where one
    is censored: bounds of the median from order statistics, exact at any censoring and any shape (Conover, Practical
    Nonparametric Statistics, 3.2): the highest rank that reaches `confidence` one-sided, else the extreme seed with
    the confidence 1 - 2^-n that it has.
    """
    targets = Targets.between(mean_frame_error, [default for _, default in pairs.values()])
    known = [speed_up(trial, default, targets, percent) for trial, default in pairs.values()]
    return combine([one for one in known if one is not None], confidence)


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
    from scipy import stats

    spread = math.sqrt(math.fsum((log - mean) ** 2 for log in logs) / (seeds - 1) / seeds)
    half = float(stats.t.ppf((1 + confidence) / 2, seeds - 1)) * spread
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
