"""Figures of the speech that a run learned from, and what a person should look at in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.report import HealthNote

_MOST_NAMED = 20
_SPLITS_FA = {"train": "آموزش", "validation": "اعتبارسنجی", "test": "آزمون"}


def health_figures(data: Mapping[str, Any], lang: str) -> dict[str, str]:
    """The figures by name; `data` is what preparing the speech came to."""
    speakers: Mapping[str, int] = data["speakers"]
    named = dict(list(speakers.items())[:_MOST_NAMED])
    minutes, confidence = f"{60 * data['hours']:.1f}", f"{data['alignment']['mean_confidence']:.2f}"
    mean, sd = f"{data['mel_mean']:.2f}", f"{data['mel_sd']:.2f}"
    if lang == "fa":
        splits = {_SPLITS_FA.get(name, name): count for name, count in data["splits"].items()}
        return {
            "گفتار": f"{data['clips']:,} قطعه، {minutes} دقیقه ({data['source']})",
            "بخش‌ها": _counted(splits, "، "),
            "گویندگان": _counted(named, "، "),
            "لگاریتم مل": f"میانگین \u2066{mean}\u2069، انحراف معیار {sd}",
            "هم‌ترازی": f"میانگین اطمینان {confidence}",
            "کنار گذاشته": _counted(data["excluded"], "، ") or "هیچ",
            "اثر انگشت داده": str(data["fingerprint"]),
        }
    return {
        "speech": f"{data['clips']:,} clips, {minutes} minutes ({data['source']})",
        "splits": _counted(data["splits"]),
        "speakers": _counted(named),
        "log-mel": f"mean {mean}, sd {sd}",
        "alignment": f"mean confidence {confidence}",
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


def _counted(counts: Mapping[str, int], between: str = ", ") -> str:
    return between.join(f"{count:,} {name}" for name, count in counts.items())
