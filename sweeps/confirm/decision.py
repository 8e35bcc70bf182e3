"""The rule that turns paired seeds into a word: better, worse, no difference or undecided."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sweeps.confirm.paired_test import PairedInterval, paired_interval, sign_test

Word = Literal["better", "worse", "no difference", "undecided", "unconfirmed"]

MARGIN_PERCENT = 1.0
"""Differences that lie wholly within +- this are none."""


@dataclass(frozen=True, slots=True)
class Look:
    """A point at which the seeds are judged, planned before any is seen: after `seeds` pairs, at level `alpha`."""

    seeds: int
    alpha: float


PLANNED_LOOKS = (Look(3, 0.01), Look(8, 0.04))
"""Two looks whose levels add up to .05, so that both together call falsely in at most 5 % (Bonferroni; Pocock 1977 on
why looking more often without paying for it does not). Between and beyond them nothing is judged anew."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The word for one look, and the interval over the pairs in which both sides ended (None for fewer than two)."""

    word: Word
    interval: PairedInterval | None
    reason: str = ""


def decide(
    finalist: Sequence[float], default: Sequence[float], alpha: float, margin_percent: float = MARGIN_PERCENT
) -> Decision:
    """Judge objectives paired by seed (lower is better; NaN or inf: that run diverged).

    Without divergence: the paired t interval of log(finalist / default) at 1 - alpha. Wholly inside +-margin: no
    difference, be it clear of 0 or not; wholly on one side of 0: better or worse; else undecided. With divergence,
    which is a result and no gap: the exact sign test, a diverged run losing to any that ended; and a finalist that
    diverged once is never better.
    """
    if any(math.isfinite(value) and value <= 0 for value in (*finalist, *default)):
        return Decision("undecided", None, "an objective is not above 0, so no difference in per cent can be stated")
    pairs = list(zip(finalist, default, strict=True))
    ratios = [math.log(ours / theirs) for ours, theirs in pairs if math.isfinite(ours) and math.isfinite(theirs)]
    interval = paired_interval(ratios, alpha) if len(ratios) >= 2 else None
    if len(ratios) < len(pairs):
        return _with_divergence(pairs, interval, alpha)
    if interval is None:
        return Decision("undecided", None, "a single pair of seeds shows no spread")
    if math.log1p(-margin_percent / 100) <= interval.low and interval.high <= math.log1p(margin_percent / 100):
        return Decision("no difference", interval)
    if interval.high < 0:
        return Decision("better", interval)
    return Decision("worse" if interval.low > 0 else "undecided", interval)


def _with_divergence(pairs: Sequence[tuple[float, float]], interval: PairedInterval | None, alpha: float) -> Decision:
    ranks = [(_rank(ours), _rank(theirs)) for ours, theirs in pairs]
    wins = sum(ours < theirs for ours, theirs in ranks)
    losses = sum(ours > theirs for ours, theirs in ranks)
    ours_diverged = sum(math.isinf(ours) for ours, _ in ranks)
    theirs_diverged = sum(math.isinf(theirs) for _, theirs in ranks)
    reason = f"diverged: finalist {ours_diverged}, default {theirs_diverged} of {len(pairs)} seeds"
    if wins != losses and sign_test(wins, losses) <= alpha:
        if losses > wins:
            return Decision("worse", interval, reason)
        if ours_diverged == 0:
            return Decision("better", interval, reason)
    return Decision("undecided", interval, reason)


def _rank(value: float) -> float:
    return value if math.isfinite(value) else math.inf
