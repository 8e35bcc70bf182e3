"""The statistics of few paired seeds: Student's t interval on log ratios, its power, the seeds that would decide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

MOST_SEEDS = 200
"""Above this many pairs `seeds_to_decide` gives up: no one trains so many."""


@dataclass(frozen=True, slots=True)
class PairedInterval:
    """Mean natural log ratio of paired seeds, its interval at level 1 - alpha, and the sd of single pairs."""

    mean: float
    low: float
    high: float
    sd: float
    seeds: int
    alpha: float


def paired_interval(log_ratios: Sequence[float], alpha: float) -> PairedInterval:
    """Student's two-sided paired t interval; ValueError for fewer than two pairs.

    Pairing by seed takes out what both sides share (Bouthillier et al. 2021, Accounting for Variance in Machine
    Learning Benchmarks); t keeps its level with very few seeds where a bootstrap does not (Colas et al. 2018, How Many
    Random Seeds?).
    """
    seeds = len(log_ratios)
    if seeds < 2:
        raise ValueError(f"{seeds} pairs: a paired interval needs at least two")
    mean = math.fsum(log_ratios) / seeds
    sd = math.sqrt(math.fsum((ratio - mean) ** 2 for ratio in log_ratios) / (seeds - 1))
    half = t_quantile(1 - alpha / 2, seeds - 1) * sd / math.sqrt(seeds)
    return PairedInterval(mean, mean - half, mean + half, sd, seeds, alpha)


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact p that wins and losses are equally likely (Conover, Practical Nonparametric Statistics, 3.4);
    ties left out."""
    pairs = wins + losses
    tail = sum(math.comb(pairs, k) for k in range(min(wins, losses) + 1)) * 0.5**pairs
    return min(1.0, 2 * tail)


def power(log_gain: float, sd: float, seeds: int, alpha: float) -> float:
    """Chance that the paired t test at `alpha` finds a true `log_gain` in its direction (noncentral t)."""
    if seeds < 2:
        return 0.0
    if sd == 0:
        return 1.0 if log_gain else 0.0
    from scipy import stats

    shift = abs(log_gain) / sd * math.sqrt(seeds)
    found = float(stats.nct.sf(t_quantile(1 - alpha / 2, seeds - 1), seeds - 1, shift))
    return 1.0 if math.isnan(found) else found  # SciPy gives up where the spread is next to nothing


def seeds_to_decide(log_ratio: float, sd: float, alpha: float, margin: float, wanted_power: float = 0.8) -> int | None:
    """Fewest pairs that would probably end in a decision, were `log_ratio` and `sd` the truth; None beyond MOST_SEEDS.

    A decision is a difference found (power as above) or an interval inside +-margin (the normal approximation of
    Schuirmann 1987).
    """
    for seeds in range(2, MOST_SEEDS + 1):
        error = sd / math.sqrt(seeds)
        reach = (t_quantile(1 - alpha / 2, seeds - 1) + t_quantile((1 + wanted_power) / 2, seeds - 1)) * error
        if reach <= margin - abs(log_ratio) or (log_ratio and power(log_ratio, sd, seeds, alpha) >= wanted_power):
            return seeds
    return None


@lru_cache(maxsize=1024)
def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t with `freedom` degrees of freedom."""
    from scipy import stats

    return float(stats.t.ppf(probability, freedom))
