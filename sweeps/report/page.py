"""The whole page from its templates: style and script inside, nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections import Counter
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sweeps.confirm import verdict_text
from sweeps.report import sections
from sweeps.report.answer import cards, headline, tone
from sweeps.report.charts.svg import short, swatch
from sweeps.report.data import RunData
from sweeps.report.extras import ReportExtras
from sweeps.report.picture import png
from sweeps.report.table import Cell
from sweeps.report.text import Words, cell, marked, own, sentence
from sweeps.report.trial_marks import kind, status

FOLDER = Path(__file__).resolve().parent
REFRESH_SECONDS = 30
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def page(data: RunData, extras: ReportExtras, words: Words, now: float) -> str:
    """The page as text. While the sweep runs it reloads itself, unless that is off or a sample is playing."""
    style, script = _file("page.css"), _file("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "media-src data:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "learning": sections.learning(data, words, extras),
        "landscape": {"tabs": sections.landscape(data, words)},
        "trials": sections.trials(data, words),
        "confirmation": sections.confirmation(data, words),
        "rivals": sections.rivals(data, words),
        "convergence": sections.convergence_table(data, words),
        "diagnosis": sorted(extras.findings, key=lambda one: sections.SEVERITIES.index(one.severity)),
        "health": extras.health or extras.health_notes,
        "listening": sections.listening(extras.samples),
        "repeat": sections.repeat(data, words),
    }
    text = (
        _templates()
        .get_template("page.html")
        .render(
            t=words,
            data=data,
            extras=extras,
            parts={name: part for name, part in parts.items() if part},
            filters=sections.filters(data, words),
            answer={"headline": headline(data, words), "tone": tone(data), "cards": cards(data, words)},
            roles=Counter(record.role for record in data.records),
            style=style,
            script=script,
            policy=policy,
            refresh_seconds=REFRESH_SECONDS,
            moment=time.strftime("%Y-%m-%d %H:%M", time.localtime(now)),
            kind=lambda record: kind(data, record),
            status=lambda record: status(words, record),
        )
    )
    return UNPRINTABLE.sub("\ufffd", text) + "\n"


@cache
def _templates() -> Environment:
    """The templates: every value is escaped unless it is markup already; a name that is not there is an error."""
    found = Environment(
        loader=PackageLoader("sweeps.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"cell": cell, "marked": marked, "own": own, "sentence": sentence, "short": short}
    found.filters["verdict_text"] = verdict_text.sentence
    found.globals |= {"as_cell": _as_cell, "swatch": swatch, "spectrogram": _spectrogram, "sound": _sound}
    return found


def _as_cell(value: object) -> Cell:
    return value if isinstance(value, Cell) else Cell(value)


def _spectrogram(picture: object) -> str:
    """A mel picture as a data address; empty where there is none that can be drawn."""
    if picture is None or getattr(picture, "ndim", 0) != 2 or not getattr(picture, "size", 0):
        return ""
    return f"data:image/png;base64,{base64.b64encode(png(picture)).decode()}"  # type: ignore[arg-type]


def _sound(wav: bytes) -> str:
    return f"data:audio/wav;base64,{base64.b64encode(wav).decode()}"


@cache
def _file(name: str) -> Markup:
    return Markup((FOLDER / name).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
