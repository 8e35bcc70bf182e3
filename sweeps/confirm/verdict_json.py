"""A verdict as verdict.json holds it."""

from __future__ import annotations

import math
from typing import Any

from sweeps.confirm.speed_up import SpeedUpOverSeeds
from sweeps.confirm.verdict import Verdict
from sweeps.confirm.verdict_text import sentence
from sweeps.trials.objective import number


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """What verdict.json holds: plain JSON, null where a number is not finite or not known."""
    return {
        "verdict": verdict.word,
        "sentence": sentence(verdict),
        "reason": verdict.reason,
        "difference_percent": number(verdict.difference_percent),
        "interval_percent": verdict.interval_percent and [number(end) for end in verdict.interval_percent],
        "difference": number(verdict.difference),
        "interval": verdict.interval and [number(end) for end in verdict.interval],
        "default_objective": number(verdict.default_objective),
        "mode": verdict.mode,
        "confidence": None if verdict.look is None else 1 - verdict.look.alpha,
        "covers": "seeds, not other data",
        "seeds": [pair.seed for pair in verdict.pairs],
        "seeds_judged": verdict.look.seeds if verdict.look else 0,
        "pairs": [
            {"seed": pair.seed, "finalist": number(pair.finalist), "default": number(pair.default)}
            for pair in verdict.pairs
        ],
        "diverged": {
            "finalist": [pair.seed for pair in verdict.pairs if not math.isfinite(pair.finalist)],
            "default": [pair.seed for pair in verdict.pairs if not math.isfinite(pair.default)],
        },
        "sd_percent": number(verdict.sd_percent),
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
                "low": number(one.low),
                "mean": number(one.mean),
                "high": number(one.high),
                "decision": one.decision,
            }
            for one in verdict.sequence
        ],
        "speedup": None if verdict.speed_up is None else _speed_up_json(verdict.speed_up),
        "notes": [dict(note.texts) for note in verdict.notes],
    }


def _speed_up_json(speed: SpeedUpOverSeeds) -> dict[str, Any]:
    return {
        "value": speed.value,
        "low": speed.low,
        "high": number(speed.high),
        "confidence": speed.confidence,
        "seeds": speed.seeds,
        "censored": speed.censored,
        "reached": speed.reached,
        "default_reached": speed.default_reached,
        "wall_clock": speed.wall_clock,
        "text": str(speed),
    }
