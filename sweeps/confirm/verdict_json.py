"""A verdict as verdict.json holds it, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.confirm.plan import Design, Look
from sweeps.confirm.speed_up import SpeedUpOverSeeds
from sweeps.confirm.verdict import Note, SeedPair, Verdict
from sweeps.confirm.verdict_text import sentence


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """What verdict.json holds: plain JSON, null where a number is not finite or not known."""
    return {
        "verdict": verdict.word,
        "sentence": sentence(verdict),
        "reason": verdict.reason,
        "difference_percent": _finite(verdict.difference_percent),
        "interval_percent": verdict.interval_percent and [_finite(end) for end in verdict.interval_percent],
        "difference": _finite(verdict.difference),
        "interval": verdict.interval and [_finite(end) for end in verdict.interval],
        "default_objective": _finite(verdict.default_objective),
        "mode": verdict.mode,
        "confidence": None if verdict.look is None else 1 - verdict.look.alpha,
        "covers": "seeds, not other data",
        "seeds": [pair.seed for pair in verdict.pairs],
        "seeds_judged": verdict.look.seeds if verdict.look else 0,
        "pairs": [
            {"seed": pair.seed, "finalist": _finite(pair.finalist), "default": _finite(pair.default)}
            for pair in verdict.pairs
        ],
        "diverged": {
            "finalist": [pair.seed for pair in verdict.pairs if not math.isfinite(pair.finalist)],
            "default": [pair.seed for pair in verdict.pairs if not math.isfinite(pair.default)],
        },
        "sd_percent": _finite(verdict.sd_percent),
        "sd_assumed_percent": verdict.sd_assumed_percent,
        "power": {
            "gain_percent": verdict.gain_percent,
            "at_observed_sd": verdict.power_observed,
            "at_assumed_sd": verdict.power_assumed,
        },
        "margin_percent": verdict.margin_percent,
        "seeds_to_decide": verdict.seeds_to_decide,
        "looks": [{"seeds": look.seeds, "alpha": look.alpha} for look in verdict.looks],
        "stops_early": verdict.design.stops_early,
        "final": verdict.is_final,
        "sequence": [
            {
                "pairs": one.pairs,
                "low": _finite(one.low),
                "mean": _finite(one.mean),
                "high": _finite(one.high),
                "decision": one.decision,
            }
            for one in verdict.sequence
        ],
        "speedup": None if verdict.speed_up is None else _speed_up_json(verdict.speed_up),
        "notes": [dict(note.texts) for note in verdict.notes],
    }


def verdict_from_json(stored: Mapping[str, Any]) -> Verdict:
    """The verdict that `verdict_to_json` wrote, by this program or by one that planned two looks."""
    looks = tuple(Look(look["seeds"], look["alpha"]) for look in stored["looks"])
    planned = "stops_early" in stored
    design = Design(looks, stored.get("stops_early", False), stored["margin_percent"], stops_hopeless=planned)
    return Verdict(
        word=stored["verdict"],
        pairs=tuple(
            SeedPair(pair["seed"], _or_nan(pair["finalist"]), _or_nan(pair["default"])) for pair in stored["pairs"]
        ),
        look=next((look for look in looks if look.seeds == stored["seeds_judged"]), None),
        design=design,
        mode=stored.get("mode", "min"),
        default_objective=stored.get("default_objective"),
        difference=stored.get("difference"),
        interval=_interval_from(stored.get("interval")),
        difference_percent=stored["difference_percent"],
        interval_percent=_interval_from(stored["interval_percent"]),
        sd_percent=stored["sd_percent"],
        sd_assumed_percent=stored["sd_assumed_percent"],
        power_observed=stored["power"]["at_observed_sd"],
        power_assumed=stored["power"]["at_assumed_sd"],
        gain_percent=stored["power"]["gain_percent"],
        seeds_to_decide=stored["seeds_to_decide"],
        speed_up=None if stored["speedup"] is None else _speed_up_from(stored["speedup"]),
        reason=stored["reason"],
        notes=tuple(Note(note) for note in stored["notes"]),
    )


def _interval_from(stored: Sequence[float | None] | None) -> tuple[float, float] | None:
    return None if stored is None else (_or_inf(stored[0], -1), _or_inf(stored[1], 1))


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
        "reached": speed.reached,
        "default_reached": speed.default_reached,
        "wall_clock": speed.wall_clock,
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
        stored.get("reached"),
        stored.get("default_reached"),
        stored.get("wall_clock"),
    )
