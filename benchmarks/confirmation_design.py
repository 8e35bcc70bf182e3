"""Compares plans for a sequential confirmation by simulation: how many pairs they take, and what they find.

    python benchmarks/confirmation_design.py                    # the comparison, about half a minute
    python benchmarks/confirmation_design.py --check            # the shipped table alone: its total of false calls

Paired differences are normal with a mean and an sd of which the plans know nothing, so the paired t test alone counts.
Every plan is a table of levels by number of pairs; its total of false calls is at most 5 %:

    constant        the same level at every look
    linear, square  spend 5 % in proportion to the number of pairs, or to its square (Lan and DeMets 1983)
    pocock, obf     spend it as boundaries of Pocock's or O'Brien and Fleming's shape would
    e-value         anytime-valid: the Bayes factor of a normal prior on the effect size, of variance g, above 20
    two looks       the plan before: 3 pairs at .01, 8 at .04

A plan also ends where a gain of 1 % is ruled out at 90 %, one-sided; that is "no difference".
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import stats

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sweeps.confirm.decision import HOPELESS_LEVEL  # noqa: E402
from sweeps.confirm.plan import SEQUENTIAL_LOOKS, SMALLEST_GAIN_PERCENT, TWO_LOOKS, Look  # noqa: E402

MOST, TOTAL = 10, 0.05
COUNTS = np.arange(1, MOST + 1)
DIFFERENCES, SDS = (0.0, 1.0, 3.0, 6.0), (0.7, 1.5, 2.5)
Array = np.ndarray


def paths(mean: float, sweeps: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Running means, sds and p values [sweeps, pairs] of differences with sd 1."""
    drawn = rng.standard_normal((sweeps, MOST)) + mean
    means = np.cumsum(drawn, axis=1) / COUNTS
    squares = np.cumsum(drawn**2, axis=1) - COUNTS * means**2
    sds = np.sqrt(np.maximum(squares / np.maximum(COUNTS - 1, 1), 1e-12))
    p = np.ones_like(means)
    p[:, 1:] = 2 * stats.t.sf(np.abs(means / sds * np.sqrt(COUNTS))[:, 1:], COUNTS[1:] - 1)
    return means, sds, p


def constant(null: Array, first: int) -> Array:
    """The one level at which looks from `first` on call falsely in 5 %."""
    level = np.quantile(null[:, first - 1 :].min(axis=1), TOTAL)
    return np.where(first <= COUNTS, level, 0.0)


def spending(null: Array, first: int, spent: Callable[[float], float]) -> Array:
    """Levels that have spent TOTAL * spent(share of the pairs) by each look."""
    levels, alive, used = np.zeros(MOST), np.ones(len(null), bool), 0.0
    for pairs in range(first, MOST + 1):
        hits = int((TOTAL * spent(pairs / MOST) - used) * len(null))
        levels[pairs - 1] = np.sort(null[alive, pairs - 1])[hits] if hits >= 1 else 0.0
        alive &= null[:, pairs - 1] >= levels[pairs - 1]
        used = float((~alive).mean())
    return levels


def e_value(first: int, variance: float) -> Array:
    """Levels of the t values at which the Bayes factor reaches 20."""
    levels, t = np.zeros(MOST), np.linspace(0, 400, 400_001)
    for pairs in range(first, MOST + 1):
        freedom, grown = pairs - 1, 1 + pairs * variance
        logs = (pairs / 2) * (np.log1p(t * t / freedom) - np.log1p(t * t / freedom / grown)) - 0.5 * math.log(grown)
        if logs.max() >= math.log(1 / TOTAL):
            levels[pairs - 1] = 2 * stats.t.sf(t[int(np.argmax(logs >= math.log(1 / TOTAL)))], freedom)
    return levels


def table(looks: tuple[Look, ...]) -> Array:
    """The levels of planned looks."""
    levels = np.zeros(MOST)
    for look in looks:
        levels[look.seeds - 1] = look.alpha
    return levels


def outcome(
    levels: Array, gain: float, sd: float, sweeps: int, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Shares of better, no difference and undecided at a true gain in per cent, and the mean number of pairs."""
    means, sds, p = paths(-gain / sd, sweeps, rng)
    found = p < levels
    quantiles = np.r_[np.inf, stats.t.ppf(1 - HOPELESS_LEVEL, COUNTS[1:] - 1)]
    low = sd * (means - quantiles * sds / np.sqrt(COUNTS))
    hopeless = (low > -SMALLEST_GAIN_PERCENT) & (levels > 0)
    ends = found | hopeless
    ends[:, np.flatnonzero(levels)[-1]] = True
    at, rows = ends.argmax(axis=1), np.arange(sweeps)
    better = found[rows, at] & (means[rows, at] < 0)
    none = hopeless[rows, at] & ~found[rows, at]
    undecided = ~found[rows, at] & ~none
    return float(better.mean()), float(none.mean()), float(undecided.mean()), float((at + 1).mean())


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison; 1 where the shipped table calls falsely in clearly more than 5 %."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only the shipped table")
    parser.add_argument("--sweeps", type=int, default=200_000, help="simulated confirmations (default: 200000)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    rng = np.random.default_rng(given.seed)
    null = paths(0.0, given.sweeps, rng)[2]
    shipped = table(SEQUENTIAL_LOOKS)
    total = float((null < shipped).any(axis=1).mean())
    error = 1.96 * math.sqrt(total * (1 - total) / given.sweeps)
    print(f"shipped table: false better or worse in {100 * total:.2f} % (+- {100 * error:.2f}) of {given.sweeps}")
    if given.check:
        return 0 if total - error <= TOTAL else 1
    plans = {"shipped": shipped, "two looks": table(TWO_LOOKS)}
    for first in (2, 3):
        plans[f"constant from {first}"] = constant(null, first)
        plans[f"linear from {first}"] = spending(null, first, lambda share: share)
        plans[f"square from {first}"] = spending(null, first, lambda share: share**2)
        plans[f"pocock from {first}"] = spending(null, first, lambda share: math.log1p((math.e - 1) * share))
        plans[f"obf from {first}"] = spending(
            null, first, lambda share: 40 * float(stats.norm.sf(stats.norm.isf(TOTAL / 2) / math.sqrt(share)))
        )
    plans["e-value, g = 1"], plans["e-value, g = 4"] = e_value(2, 1.0), e_value(2, 4.0)
    print("\nlevels by number of pairs, and their total")
    for name, levels in plans.items():
        shown = " ".join(f"{level:.4f}" for level in levels[1:])
        print(f"  {name:<18}{shown}   {100 * float((null < levels).any(axis=1).mean()):.2f} %")
    print("\nbetter / no difference / undecided in %, mean pairs; columns: true gain 0, 1, 3, 6 %")
    for sd in SDS:
        print(f"sd of paired differences {sd} %")
        for name, levels in plans.items():
            cells = []
            for gain in DIFFERENCES:
                better, none, undecided, pairs = outcome(levels, gain, sd, given.sweeps // 20, rng)
                cells.append(f"{100 * better:4.0f}/{100 * none:3.0f}/{100 * undecided:3.0f} {pairs:5.1f}")
            print(f"  {name:<18}{'  '.join(cells)}")
    return 0 if total - error <= TOTAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
