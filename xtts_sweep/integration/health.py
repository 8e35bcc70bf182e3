"""Figures of the speech that a run learned from, and what a person should look at in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from messages import Texts, text
from sweeps.report import HealthNote

_MOST_NAMED = 20


def health_figures(data: Mapping[str, Any], lang: str) -> dict[str, str]:
    """The figures by name; `data` is what preparing the speech came to."""
    speakers: Mapping[str, int] = data["speakers"]
    named = dict(list(speakers.items())[:_MOST_NAMED])
    say = Texts("health", lang)
    splits = {say.known(f"split.{name}", name): count for name, count in data["splits"].items()}
    comma = say("comma")
    return {
        say("speech"): say("clips", clips=data["clips"], minutes=60 * data["hours"], source=data["source"]),
        say("splits"): _counted(splits, comma),
        say("speakers"): _counted(named, comma),
        say("log_mel"): say("mean_sd", mean=data["mel_mean"], sd=data["mel_sd"]),
        say("alignment"): say("confidence", confidence=data["alignment"]["mean_confidence"]),
        say("left_out"): _counted(data["excluded"], comma) or say("nothing"),
        say("fingerprint"): str(data["fingerprint"]),
    }


def health_notes(data: Mapping[str, Any], lang: str) -> tuple[HealthNote, ...]:
    """Recordings that may not be what their transcript says, and what was read or has changed otherwise."""
    doubtful: Sequence[str] = data["alignment"]["doubtful"]
    notes = [HealthNote(text("health.doubtful", lang), tuple(doubtful[:_MOST_NAMED]))] if doubtful else []
    for key in ("changed", "notes"):
        lines = data.get(key) or ()
        if lines:
            notes.append(HealthNote(text(f"health.{key}", lang), (lines,) if isinstance(lines, str) else tuple(lines)))
    return tuple(notes)


def _counted(counts: Mapping[str, int], between: str) -> str:
    return between.join(f"{count:,} {name}" for name, count in counts.items())
