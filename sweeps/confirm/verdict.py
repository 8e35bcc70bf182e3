"""Finalist against default over fresh seeds: the answer, in a word, a sentence and a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sweeps.confirm.convergence import Curve
from sweeps.confirm.decision import MARGIN_PERCENT, PLANNED_LOOKS, Look, Word, decide
from sweeps.confirm.paired_test import MOST_SEEDS, power, seeds_to_decide
from sweeps.confirm.speed_up import SpeedUpOverSeeds, speed_up_over_seeds
from sweeps.confirm.verdict_text import Note, sentence

ASSUMED_SD_PERCENT = 2.5
"""What the paired sd was taken to be when the looks were planned (benchmarks/verdict_errors.py)."""

GAIN_PERCENT = 3.0
"""The true gain that `power` is stated for."""


@dataclass(frozen=True, slots=True)
class SeedPair:
    """What finalist and default ended at on the test split with one seed; NaN where the run diverged."""

    seed: int
    finalist: float
    default: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The word and what it rests on; per cents are of the default's objective, negative where the finalist's is lower.

    `pairs` are all seeds that are there; the first `look.seeds` of them are judged. `sd_percent` and `power_observed`
    are None where fewer than two pairs ended. `seeds_to_decide` is None unless undecided, and also where more than
    MOST_SEEDS would be needed.
    """

    word: Word
    pairs: tuple[SeedPair, ...] = ()
    look: Look | None = None
    looks: tuple[Look, ...] = PLANNED_LOOKS
    difference_percent: float | None = None
    interval_percent: tuple[float, float] | None = None
    sd_percent: float | None = None
    sd_assumed_percent: float = ASSUMED_SD_PERCENT
    power_observed: float | None = None
    power_assumed: float | None = None
    gain_percent: float = GAIN_PERCENT
    margin_percent: float = MARGIN_PERCENT
    seeds_to_decide: int | None = None
    speed_up: SpeedUpOverSeeds | None = None
    reason: str = ""
    notes: tuple[Note, ...] = field(default=())

    @property
    def default_objective(self) -> float | None:
        """The default's objective (geometric mean over the judged pairs that ended); None where there is none."""
        judged = self.pairs[: self.look.seeds if self.look else 0]
        ended = [pair.default for pair in judged if math.isfinite(pair.finalist) and math.isfinite(pair.default)]
        if not ended or min(ended) <= 0:
            return None
        return math.exp(math.fsum(map(math.log, ended)) / len(ended))

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of the difference in the objective's own units; None where there is none."""
        if self.interval_percent is None:
            return None
        low, high = (self._in_objective(end) for end in self.interval_percent)
        return None if low is None or high is None else (low, high)

    @property
    def keeps_default(self) -> bool:
        """Whether best_config.yaml is the default: always, unless the finalist was confirmed or never tested."""
        return self.word not in ("better", "unconfirmed")

    @property
    def next_look(self) -> Look | None:
        """The next planned look, or None after the last."""
        judged = self.look.seeds if self.look else 0
        return next((look for look in self.looks if look.seeds > judged), None)

    def sentence(self, lang: str = "en") -> str:
        """The verdict for people, in English or Persian ('fa'): what, how sure, and what to do."""
        return sentence(self, lang)

    def to_json(self) -> dict[str, Any]:
        """What verdict.json holds: plain JSON, null where a number is not finite or not known."""
        return {
            "verdict": self.word,
            "sentence": self.sentence(),
            "reason": self.reason,
            "difference_percent": _finite(self.difference_percent),
            "interval_percent": self.interval_percent and [_finite(end) for end in self.interval_percent],
            "difference": self._in_objective(self.difference_percent),
            "interval": self.interval and list(self.interval),
            "default_objective": self.default_objective,
            "confidence": None if self.look is None else 1 - self.look.alpha,
            "covers": "seeds, not other data",
            "seeds": [pair.seed for pair in self.pairs],
            "seeds_judged": self.look.seeds if self.look else 0,
            "pairs": [
                {"seed": pair.seed, "finalist": _finite(pair.finalist), "default": _finite(pair.default)}
                for pair in self.pairs
            ],
            "diverged": {
                "finalist": [pair.seed for pair in self.pairs if not math.isfinite(pair.finalist)],
                "default": [pair.seed for pair in self.pairs if not math.isfinite(pair.default)],
            },
            "sd_percent": _finite(self.sd_percent),
            "sd_assumed_percent": self.sd_assumed_percent,
            "power": {
                "gain_percent": self.gain_percent,
                "at_observed_sd": self.power_observed,
                "at_assumed_sd": self.power_assumed,
            },
            "margin_percent": self.margin_percent,
            "seeds_to_decide": self.seeds_to_decide,
            "looks": [{"seeds": look.seeds, "alpha": look.alpha} for look in self.looks],
            "speedup": None if self.speed_up is None else _speed_up_json(self.speed_up),
            "notes": [dict(note.texts) for note in self.notes],
        }

    def _in_objective(self, percent: float | None) -> float | None:
        base = self.default_objective
        return None if percent is None or base is None else _finite(base * percent / 100)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Verdict:
        """The verdict that `to_json` wrote."""
        looks = tuple(Look(look["seeds"], look["alpha"]) for look in stored["looks"])
        interval = stored["interval_percent"]
        return cls(
            word=stored["verdict"],
            pairs=tuple(
                SeedPair(pair["seed"], _or_nan(pair["finalist"]), _or_nan(pair["default"])) for pair in stored["pairs"]
            ),
            look=next((look for look in looks if look.seeds == stored["seeds_judged"]), None),
            looks=looks,
            difference_percent=stored["difference_percent"],
            interval_percent=None if interval is None else (_or_inf(interval[0], -1), _or_inf(interval[1], 1)),
            sd_percent=stored["sd_percent"],
            sd_assumed_percent=stored["sd_assumed_percent"],
            power_observed=stored["power"]["at_observed_sd"],
            power_assumed=stored["power"]["at_assumed_sd"],
            gain_percent=stored["power"]["gain_percent"],
            margin_percent=stored["margin_percent"],
            seeds_to_decide=stored["seeds_to_decide"],
            speed_up=None if stored["speedup"] is None else _speed_up_from(stored["speedup"]),
            reason=stored["reason"],
            notes=tuple(Note(note) for note in stored["notes"]),
        )


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
    looks: Sequence[Look] = PLANNED_LOOKS,
    notes: Sequence[Note] = (),
) -> Verdict:
    """The verdict on full-length curves by seed, with the speed-up over the judged seeds at the same level."""
    verdict = judge(ends_by_seed(finalist), ends_by_seed(default), looks=looks, notes=notes)
    if verdict.look is None:
        return verdict
    judged = [pair.seed for pair in verdict.pairs[: verdict.look.seeds]]
    pairs = {seed: (finalist[seed], default[seed]) for seed in judged}
    speed_up = speed_up_over_seeds(pairs, mean_frame_error, confidence=1 - verdict.look.alpha)
    return replace(verdict, speed_up=speed_up)


def judge(
    finalist: Mapping[int, float],
    default: Mapping[int, float],
    *,
    looks: Sequence[Look] = PLANNED_LOOKS,
    notes: Sequence[Note] = (),
) -> Verdict:
    """The verdict on objectives by seed (lower is better, NaN: diverged), at the last planned look that is reached.

    Seeds that only one side has are left out; they count in ascending order, which is the order they were planned in.
    """
    plan = tuple(looks)
    pairs = tuple(SeedPair(seed, finalist[seed], default[seed]) for seed in sorted(finalist.keys() & default.keys()))
    look = max((look for look in plan if look.seeds <= len(pairs)), key=lambda one: one.seeds, default=None)
    if look is None:
        return Verdict("undecided" if pairs else "unconfirmed", pairs, None, plan, notes=tuple(notes))
    judged = pairs[: look.seeds]
    decision = decide([pair.finalist for pair in judged], [pair.default for pair in judged], look.alpha)
    interval = decision.interval
    gain = math.log1p(-GAIN_PERCENT / 100)
    last = plan[-1]
    needed = None
    if decision.word == "undecided" and interval is not None and not decision.reason:
        needed = seeds_to_decide(interval.mean, interval.sd, last.alpha, math.log1p(MARGIN_PERCENT / 100))
        needed = needed and max(needed, look.seeds + 1)
    return Verdict(
        word=decision.word,
        pairs=pairs,
        look=look,
        looks=plan,
        difference_percent=None if interval is None else _percent(interval.mean),
        interval_percent=None if interval is None else (_percent(interval.low), _percent(interval.high)),
        sd_percent=None if interval is None else 100 * interval.sd,
        power_observed=None if interval is None else power(gain, interval.sd, look.seeds, look.alpha),
        power_assumed=power(gain, ASSUMED_SD_PERCENT / 100, look.seeds, look.alpha),
        seeds_to_decide=needed,
        reason=decision.reason,
        notes=tuple(notes),
    )


def _percent(log_ratio: float) -> float:
    return 100 * math.expm1(log_ratio) if log_ratio < 700 else math.inf


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _or_inf(value: float | None, sign: int) -> float:
    return sign * math.inf if value is None else value


def _speed_up_json(speed: SpeedUpOverSeeds) -> dict[str, Any]:
    return {
        "value": speed.value,
        "low": speed.low,
        "high": _finite(speed.high),
        "confidence": speed.confidence,
        "seeds": speed.seeds,
        "censored": speed.censored,
        "text": str(speed),
    }


def _speed_up_from(stored: Mapping[str, Any]) -> SpeedUpOverSeeds:
    return SpeedUpOverSeeds(
        stored["value"],
        stored["low"],
        _or_inf(stored["high"], 1),
        stored["confidence"],
        stored["seeds"],
        stored["censored"],
    )


__all__ = [
    "ASSUMED_SD_PERCENT",
    "GAIN_PERCENT",
    "MOST_SEEDS",
    "PLANNED_LOOKS",
    "Look",
    "Note",
    "SeedPair",
    "Verdict",
    "Word",
    "ends_by_seed",
    "judge",
    "judge_curves",
]
