"""The paired test's rule: pairs of objectives to a word, better, worse, no difference or undecided."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from sweeps.confirm.paired_test import PairedInterval, paired_interval, sign_test, t_quantile
from sweeps.confirm.plan import Design, Look

Word = Literal["better", "worse", "no difference", "undecided", "unconfirmed"]

HOPELESS_LEVEL = 0.1
"""One-sided level at which the smallest gain is ruled out. It costs no false "better" or "worse"; a finalist that truly
gains the smallest gain is called no difference in about a quarter of confirmations (confirmation_design.py)."""

FUTURES = 60
RARE = 0.1
"""Of the drawn futures, and the share of them that a further pair must be needed in to be expected."""

ONE_PAIR = "one pair"
HOPELESS = "hopeless"
DIVERGED = "diverged"
OUT_OF_REACH = "out of reach"
"""Reasons of a decision; the texts are in the message catalogue."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How two objectives are compared: log ratios where all are positive, else differences in the objective's unit.

    Effects are costs: below 0 where the finalist is the better one. `sign` is -1 where the objective is maximised.
    `base` is the default's objective: the geometric mean for ratios, the mean for differences.
    """

    ratio: bool
    sign: float
    base: float

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]], sign: float) -> Scale:
        """The scale of pairs of costs (finalist, default); those that are not finite are left out."""
        objectives = [sign * value for pair in pairs for value in pair if math.isfinite(value)]
        ratio = all(value > 0 for value in objectives)
        ended = [sign * theirs for ours, theirs in pairs if math.isfinite(ours) and math.isfinite(theirs)]
        if not ended:
            return cls(ratio, sign, math.nan)
        if ratio:
            return cls(True, sign, math.exp(math.fsum(map(math.log, ended)) / len(ended)))
        return cls(False, sign, math.fsum(ended) / len(ended))

    def effect(self, ours: float, theirs: float) -> float:
        """The effect of a pair of costs."""
        return self.sign * math.log(ours / theirs) if self.ratio else ours - theirs

    def gain(self, percent: float) -> float:
        """The effect of a gain of `percent` per cent, below 0."""
        if self.ratio:
            return math.log1p(-percent / 100) if self.sign > 0 else -math.log1p(percent / 100)
        return -percent / 100 * abs(self.base)

    def percent(self, effect: float) -> float | None:
        """An effect in per cent of the default's objective, as the objective counts; None for differences."""
        if not self.ratio:
            return None
        return 100 * math.expm1(self.sign * effect) if self.sign * effect < 700 else math.inf

    def difference(self, effect: float) -> float:
        """An effect in the objective's unit, as the objective counts."""
        if self.ratio:
            return self.base * math.expm1(min(self.sign * effect, 700.0))
        return self.sign * effect


@dataclass(frozen=True, slots=True)
class Decision:
    """The word at one look, and the interval over the pairs in which both sides ended (None for fewer than two)."""

    word: Word
    interval: PairedInterval | None
    scale: Scale
    reason: str = ""
    detail: tuple[int, int] = (0, 0)
    """For divergence: how many runs of the finalist and of the default diverged"""

    @property
    def decided(self) -> bool:
        """Whether there is an answer."""
        return self.word != "undecided"


def decide(
    finalist: Sequence[float],
    default: Sequence[float],
    alpha: float,
    design: Design | None = None,
    *,
    sign: float = 1.0,
) -> Decision:
    """Judge costs paired by seed (lower is better; NaN or inf: that run diverged).

    Without divergence: Student's paired interval at 1 - alpha. Wholly inside plus or minus the smallest gain: no
    difference, whether it holds 0 or not; wholly on one side of 0: better or worse. Else, where the design stops
    hopeless confirmations and the pairs rule out the smallest gain: no difference. With divergence, which is a result
    and no gap: the exact sign test, in which a diverged run loses to any that ended; and a finalist that diverged once
    is never better.
    """
    design = design or Design()
    pairs = list(zip(finalist, default, strict=True))
    scale = Scale.of(pairs, sign)
    effects = [scale.effect(ours, theirs) for ours, theirs in pairs if math.isfinite(ours) and math.isfinite(theirs)]
    interval = paired_interval(effects, alpha) if len(effects) >= 2 else None
    if len(effects) < len(pairs):
        return _with_divergence(pairs, interval, alpha, scale)
    if interval is None:
        return Decision("undecided", None, scale, ONE_PAIR)
    gain = scale.gain(design.smallest_gain_percent)
    loss = math.log1p(design.smallest_gain_percent / 100) if scale.ratio else -gain
    if gain <= interval.low and interval.high <= loss:
        return Decision("no difference", interval, scale)
    if interval.high < 0:
        return Decision("better", interval, scale)
    if interval.low > 0:
        return Decision("worse", interval, scale)
    error = interval.sd / math.sqrt(interval.seeds)
    if design.stops_hopeless and interval.mean - t_quantile(1 - HOPELESS_LEVEL, interval.seeds - 1) * error > gain:
        return Decision("no difference", interval, scale, HOPELESS)
    return Decision("undecided", interval, scale)


def can_still_decide(finalist: Sequence[float], default: Sequence[float], looks: Sequence[Look]) -> bool:
    """Whether a later look can bring an answer; without divergence it always can.

    After a divergence only the sign test decides, and too few pairs may be left for it.
    """
    ranks = [(_rank(ours), _rank(theirs)) for ours, theirs in zip(finalist, default, strict=True)]
    if not any(math.isinf(value) for pair in ranks for value in pair):
        return bool(looks)
    wins = sum(ours < theirs for ours, theirs in ranks)
    losses = sum(ours > theirs for ours, theirs in ranks)
    clean = not any(math.isinf(ours) for ours, _ in ranks)
    for look in looks:
        more = look.seeds - len(ranks)
        if sign_test(wins, losses + more) <= look.alpha or (clean and sign_test(wins + more, losses) <= look.alpha):
            return True
    return False


@lru_cache(maxsize=64)
def expected_pairs(costs: tuple[tuple[float, float], ...], design: Design, sign: float) -> int:
    """How many pairs a sequential confirmation will take, after two or more pairs of costs (finalist, default).

    The pairs to come are drawn from what those so far say of mean and sd, and each such future is judged by the rule;
    the mean over the futures, rounded up.
    """
    if not all(math.isfinite(cost) for pair in costs for cost in pair):
        return design.most_seeds  # only the sign test decides, which needs many
    rng, scale, known = np.random.default_rng(0), Scale.of(costs, sign), len(costs)
    effects = np.array([scale.effect(ours, theirs) for ours, theirs in costs])
    spread, base = float(effects.std(ddof=1)), sign * scale.base
    looks = [look for look in design.looks if look.seeds > known]
    lengths = []
    for _ in range(FUTURES):
        sd = spread * math.sqrt((known - 1) / rng.chisquare(known - 1))
        drawn = rng.normal(rng.normal(effects.mean(), sd / math.sqrt(known)), sd, design.most_seeds - known)
        later = [base * math.exp(sign * effect) if scale.ratio else base + effect for effect in drawn.tolist()]
        ours, theirs = [*(pair[0] for pair in costs), *later], [*(pair[1] for pair in costs), *[base] * len(later)]
        ends = (
            look.seeds
            for look in looks
            if decide(ours[: look.seeds], theirs[: look.seeds], look.alpha, design, sign=sign).decided
        )
        lengths.append(next(ends, design.most_seeds))
    return max(math.ceil(float(np.mean(lengths)) - RARE), looks[0].seeds)


def _with_divergence(
    pairs: Sequence[tuple[float, float]], interval: PairedInterval | None, alpha: float, scale: Scale
) -> Decision:
    ranks = [(_rank(ours), _rank(theirs)) for ours, theirs in pairs]
    wins = sum(ours < theirs for ours, theirs in ranks)
    losses = sum(ours > theirs for ours, theirs in ranks)
    diverged = sum(math.isinf(ours) for ours, _ in ranks), sum(math.isinf(theirs) for _, theirs in ranks)
    word: Word = "undecided"
    if wins != losses and sign_test(wins, losses) <= alpha:
        word = "worse" if losses > wins else "undecided" if diverged[0] else "better"
    return Decision(word, interval, scale, DIVERGED, diverged)


def _rank(value: float) -> float:
    return value if math.isfinite(value) else math.inf
