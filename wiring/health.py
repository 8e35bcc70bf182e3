"""Figures of the speech that a run learned from, and what a person should look at in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.report import HealthNote

_HEALTH_FA = {
    "speech": "گفتار",
    "splits": "بخش‌ها",
    "speakers": "گویندگان",
    "log-mel": "لگاریتم مل",
    "alignment": "هم‌ترازی",
    "left out": "کنار گذاشته",
    "fingerprint": "اثر انگشت داده",
}
_MOST_NAMED = 20


def health_figures(data: Mapping[str, Any], lang: str) -> dict[str, str]:
    """The figures by name; `data` is what preparing the speech came to."""
    figures = _figures(data)
    return {_HEALTH_FA[name]: text for name, text in figures.items()} if lang == "fa" else figures


def _figures(data: Mapping[str, Any]) -> dict[str, str]:
    speakers: Mapping[str, int] = data["speakers"]
    return {
        "speech": f"{data['clips']:,} clips, {60 * data['hours']:.1f} minutes ({data['source']})",
        "splits": _counted(data["splits"]),
        "speakers": _counted(dict(list(speakers.items())[:_MOST_NAMED])),
        "log-mel": f"mean {data['mel_mean']:.2f}, sd {data['mel_sd']:.2f}",
        "alignment": f"mean confidence {data['alignment']['mean_confidence']:.2f}",
        "left out": _counted(data["excluded"]) or "nothing",
        "fingerprint": str(data["fingerprint"]),
    }


def health_notes(data: Mapping[str, Any], lang: str) -> tuple[HealthNote, ...]:
    """Recordings that may not be what their transcript says."""
    doubtful: Sequence[str] = data["alignment"]["doubtful"]
    if not doubtful:
        return ()
    what = "clips fit other texts of their length as well as their own: look for wrong transcripts"
    if lang == "fa":
        what = "قطعه‌هایی که با متن‌های دیگرِ هم‌اندازه هم به همان خوبی جور در می‌آیند: شاید متنشان نادرست باشد"
    return (HealthNote(what, tuple(doubtful[:_MOST_NAMED])),)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
