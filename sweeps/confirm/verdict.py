"""Finalist against default over fresh seeds: the answer, in a word, a sentence and a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from messages import LANGUAGES, Message
from sweeps.confirm.decision import Decision, Scale, Word, can_still_decide, decide, expected_pairs
from sweeps.confirm.learning_curve import Curve
from sweeps.confirm.paired_test import MOST_SEEDS, power, seeds_to_decide
from sweeps.confirm.plan import EXPECTED_PAIRS, Design, Look
from sweeps.confirm.speed_up import SpeedUpOverSeeds, speed_up_over_seeds

ASSUMED_SD_PERCENT = 2.5
"""What the paired sd was taken to be when the looks were planned (benchmarks/verdict_errors.py)."""

GAIN_PERCENT = 3.0
"""The true gain that `power` is stated for."""


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on a verdict, in each language, as verdict.json keeps it."""

    texts: Mapping[str, str]

    @classmethod
    def of(cls, remark: Message) -> Note:
        """A message in all languages."""
        return cls({lang: remark.text(lang) for lang in LANGUAGES})

    def text(self, lang: str = "en") -> str:
        """The remark in one language; in English where a file has no other."""
        return self.texts.get(lang, self.texts["en"])


@dataclass(frozen=True, slots=True)
class SeedPair:
    """What finalist and default ended at on the test split with one seed; NaN where the run diverged."""

    seed: int
    finalist: float
    default: float


@dataclass(frozen=True, slots=True)
class LookResult:
    """What one look found: per cents of the default's objective, or the objective's unit where there are no ratios."""

    pairs: int
    low: float | None
    mean: float | None
    high: float | None
    decision: Word
    alpha: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The word and what it rests on; per cents are of the default's objective, negative where the finalist's is lower.

    `pairs` are all seeds that are there, as objectives; the first `look.seeds` of them are judged. Where an objective
    is not above 0 there are no per cents: `difference` and `interval`, in the objective's unit, are always there.
    `sd_percent` and `power_observed` are None where fewer than two pairs ended. `seeds_to_decide` is None unless
    undecided, and also where more than MOST_SEEDS would be needed. `reason` is one of decision.py's, or empty.
    """

    word: Word
    pairs: tuple[SeedPair, ...] = ()
    look: Look | None = None
    design: Design = field(default_factory=Design)
    mode: str = "min"
    default_objective: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    difference_percent: float | None = None
    interval_percent: tuple[float, float] | None = None
    sd_percent: float | None = None
    sd_assumed_percent: float = ASSUMED_SD_PERCENT
    power_observed: float | None = None
    power_assumed: float | None = None
    gain_percent: float = GAIN_PERCENT
    seeds_to_decide: int | None = None
    speed_up: SpeedUpOverSeeds | None = None
    reason: str = ""
    notes: tuple[Note, ...] = field(default=())

    @property
    def looks(self) -> tuple[Look, ...]:
        """The planned looks."""
        return self.design.looks

    @property
    def margin_percent(self) -> float:
        """Differences inside plus or minus this are none."""
        return self.design.smallest_gain_percent

    @property
    def level_percent(self) -> float:
        """The level of the interval in per cent."""
        return 100 * (1 - (self.look.alpha if self.look else 1.0))

    @property
    def judged(self) -> tuple[SeedPair, ...]:
        """The pairs that the word rests on."""
        return self.pairs[: self.look.seeds if self.look else 0]

    @property
    def sequence(self) -> tuple[LookResult, ...]:
        """The result of each look up to the one that is judged, for a picture of how the interval narrowed."""
        sign = -1.0 if self.mode == "max" else 1.0
        if self.look is None:
            return ()
        reached = [look for look in self.looks if look.seeds <= self.look.seeds]
        return tuple(_look_result(look, _decision(self.pairs, look, self.design, sign)) for look in reached)

    @property
    def is_final(self) -> bool:
        """Whether more of the planned pairs cannot change the word."""
        if self.look is None:
            return False
        later = [look for look in self.looks if look.seeds > self.look.seeds]
        if not later or (self.design.stops_early and self.word != "undecided"):
            return True
        sign = -1.0 if self.mode == "max" else 1.0
        costs = [(sign * pair.finalist, sign * pair.default) for pair in self.judged]
        return not can_still_decide([ours for ours, _ in costs], [theirs for _, theirs in costs], later)

    @property
    def expected_seeds(self) -> int:
        """How many pairs the answer will probably take: those that it took, once it is there."""
        if self.look is None:
            return min(EXPECTED_PAIRS, self.design.most_seeds)
        if self.is_final:
            return self.look.seeds
        sign = -1.0 if self.mode == "max" else 1.0
        return expected_pairs(
            tuple((sign * one.finalist, sign * one.default) for one in self.judged), self.design, sign
        )

    @property
    def keeps_default(self) -> bool:
        """Whether best_config.yaml is the default: always, unless the finalist was confirmed or never tested."""
        return self.word not in ("better", "unconfirmed")

    @property
    def next_look(self) -> Look | None:
        """The next planned look, or None after the last and where no look can change the word."""
        if self.is_final:
            return None
        judged = self.look.seeds if self.look else 0
        return next((look for look in self.looks if look.seeds > judged), None)


def ends_by_seed(curves: Mapping[int, Curve]) -> dict[int, float]:
    """What each seed's run ended at (mean of its last three evaluations), NaN where it diverged.

    Runs that crashed, ran out of budget, were stopped or still run are left out: they are to be run again, and are no
    result.
    """
    return {seed: curve.end for seed, curve in curves.items() if curve.ended in ("end", "diverged")}


def judge_curves(
    finalist: Mapping[int, Curve],
    default: Mapping[int, Curve],
    mean_frame_error: float | None,
    *,
    design: Design | None = None,
    sign: float = 1.0,
) -> Verdict:
    """The verdict on full-length curves of costs by seed, with the speed-up over the judged seeds at 95 %."""
    verdict = judge(ends_by_seed(finalist), ends_by_seed(default), design=design, sign=sign)
    if verdict.look is None:
        return verdict
    pairs = {pair.seed: (finalist[pair.seed], default[pair.seed]) for pair in verdict.judged}
    return replace(verdict, speed_up=speed_up_over_seeds(pairs, mean_frame_error))


def judge(
    finalist: Mapping[int, float],
    default: Mapping[int, float],
    *,
    design: Design | None = None,
    sign: float = 1.0,
) -> Verdict:
    """The verdict on costs by seed (lower is better, NaN: diverged).

    The first look that decides is the verdict where the design stops early; otherwise, and where the finalist diverged
    in any pair, it is the last look that is reached. Seeds that only one side has are left out; the others count in
    ascending order, as they were planned.

    Args:
        finalist: Costs by seed; an objective times `sign`.
        default: The same of the default.
        design: The looks and the rule; the sequential design by default.
        sign: -1 where the objective is maximised.
    """
    design, mode = design or Design(), "max" if sign < 0 else "min"
    pairs = tuple(
        SeedPair(seed, sign * finalist[seed], sign * default[seed]) for seed in sorted(finalist.keys() & default.keys())
    )
    reached = [look for look in design.looks if look.seeds <= len(pairs)]
    if not reached:
        return Verdict("undecided" if pairs else "unconfirmed", pairs, None, design, mode)
    look, decision = reached[-1], _decision(pairs, reached[-1], design, sign)
    if design.stops_early and all(math.isfinite(pair.finalist) for pair in pairs):
        for earlier in reached[:-1]:
            found = _decision(pairs, earlier, design, sign)
            if found.decided:
                look, decision = earlier, found
                break
    return _verdict(pairs, look, decision, design, mode)


def _verdict(pairs: tuple[SeedPair, ...], look: Look, decision: Decision, design: Design, mode: str) -> Verdict:
    interval, scale, last = decision.interval, decision.scale, design.looks[-1]
    tested = last if design.stops_early else look
    gain = scale.gain(GAIN_PERCENT)
    needed = None
    if decision.word == "undecided" and interval is not None and not decision.reason:
        margin = abs(scale.gain(design.smallest_gain_percent))
        needed = seeds_to_decide(interval.mean, interval.sd, last.alpha, margin)
        needed = needed and max(needed, look.seeds + 1)
    ended = None if not math.isfinite(scale.base) else scale.base
    verdict = Verdict(
        word=decision.word,
        pairs=pairs,
        look=look,
        design=design,
        mode=mode,
        default_objective=ended,
        power_assumed=power(math.log1p(-GAIN_PERCENT / 100), ASSUMED_SD_PERCENT / 100, tested.seeds, tested.alpha),
        seeds_to_decide=needed,
        reason=decision.reason,
    )
    if interval is None:
        return verdict
    low, high = sorted((scale.difference(interval.low), scale.difference(interval.high)))
    shown = [scale.percent(effect) for effect in (interval.mean, interval.low, interval.high)]
    percents = [percent for percent in shown if percent is not None]
    return replace(
        verdict,
        difference=scale.difference(interval.mean),
        interval=(low, high),
        difference_percent=percents[0] if percents else None,
        interval_percent=(min(percents[1:]), max(percents[1:])) if percents else None,
        sd_percent=_sd_percent(interval.sd, scale),
        power_observed=power(gain, interval.sd, tested.seeds, tested.alpha),
    )


def _decision(pairs: Sequence[SeedPair], look: Look, design: Design, sign: float) -> Decision:
    judged = pairs[: look.seeds]
    ours, theirs = [sign * pair.finalist for pair in judged], [sign * pair.default for pair in judged]
    return decide(ours, theirs, look.alpha, design, sign=sign)


def _look_result(look: Look, decision: Decision) -> LookResult:
    interval, scale = decision.interval, decision.scale
    if interval is None:
        return LookResult(look.seeds, None, None, None, decision.word, look.alpha)
    effects = interval.mean, interval.low, interval.high
    shown = [scale.percent(effect) if scale.ratio else scale.difference(effect) for effect in effects]
    mean, one, other = (math.nan if value is None else value for value in shown)
    return LookResult(look.seeds, min(one, other), mean, max(one, other), decision.word, look.alpha)


def _sd_percent(sd: float, scale: Scale) -> float | None:
    if scale.ratio:
        return 100 * sd
    return 100 * sd / abs(scale.base) if scale.base else None


__all__ = [
    "ASSUMED_SD_PERCENT",
    "GAIN_PERCENT",
    "MOST_SEEDS",
    "Design",
    "Look",
    "LookResult",
    "Note",
    "SeedPair",
    "Verdict",
    "Word",
    "ends_by_seed",
    "judge",
    "judge_curves",
]
