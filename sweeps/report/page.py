"""The whole page: head, sections in order, style and script inside, nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import time
from collections import Counter
from functools import lru_cache
from pathlib import Path

from sweeps.report.data import RunData
from sweeps.report.extras import ReportExtras
from sweeps.report.html import Html, own, tag
from sweeps.report.sections.answer import answer
from sweeps.report.sections.confirmation import confirmation
from sweeps.report.sections.convergence import convergence_table
from sweeps.report.sections.diagnosis import data_health, diagnosis
from sweeps.report.sections.landscape import landscape
from sweeps.report.sections.learning import learning
from sweeps.report.sections.listening import listening
from sweeps.report.sections.repeat import repeat
from sweeps.report.sections.rivals import rivals
from sweeps.report.sections.trials import filters, trials_table
from sweeps.report.words import Words

FOLDER = Path(__file__).resolve().parent
REFRESH_SECONDS = 30
BESIDE = ("confirm", "rival")
NAVIGATION = (
    "learning",
    "landscape",
    "trials",
    "confirmation",
    "rivals",
    "convergence",
    "diagnosis",
    "health",
    "listening",
    "repeat",
)


def page(data: RunData, extras: ReportExtras, words: Words, now: float) -> str:
    """The page as text. While the run goes on it reloads itself, unless its reader stops that or is listening."""
    sections = {
        "answer": answer(data, words),
        "filters": filters(data, words),
        "learning": learning(data, words, extras),
        "landscape": landscape(data, words),
        "trials": trials_table(data, words),
        "confirmation": confirmation(data, words),
        "rivals": rivals(data, words),
        "convergence": convergence_table(data, words),
        "diagnosis": diagnosis(words, extras.findings),
        "health": data_health(words, extras),
        "listening": listening(words, extras.samples),
        "repeat": repeat(data, words, extras),
    }
    body = tag(
        "body",
        tag("a", words("skip"), href="#answer", class_="skip"),
        _header(data, words, now),
        tag("main", sections.pop("answer"), _navigation(words, sections), sections.values(), id="main"),
        tag("footer", tag("p", words("footer"))),
        tag("div", id="tip", class_="tip", hidden=True, aria_hidden="true"),
        tag("script", _file("page.js")),
    )
    return "<!doctype html>\n" + tag("html", _head(data, words), body, lang=words.lang, dir=words.direction) + "\n"


def _head(data: RunData, words: Words) -> Html:
    style, script = _file("page.css"), _file("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "media-src data:; base-uri 'none'; form-action 'none'"
    )
    refresh = tag("noscript", tag("meta", http_equiv="refresh", content=REFRESH_SECONDS))
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        refresh if data.state.running else None,
        tag("title", f"{data.folder.name} · {words('sweep_report')}"),
        tag("style", style),
    )


def _header(data: RunData, words: Words, now: float) -> Html:
    roles = Counter(record.role for record in data.records)
    state = words.known(f"state_{data.state.word}", data.state.word)
    reason = None
    if data.state.reason and data.state.word not in ("finished", "running"):
        reason = tag("span", " (", own(data.state.reason), ")")
    moment = time.strftime("%Y-%m-%d %H:%M", time.localtime(now))
    live = None
    if data.state.running:
        live = tag(
            "label",
            tag("input", type="checkbox", id="live", checked=True, data_seconds=REFRESH_SECONDS),
            " ",
            words("live", seconds=REFRESH_SECONDS),
            class_="needs-script",
        )
    return tag(
        "header",
        tag("h1", tag("bdi", data.folder.name)),
        tag(
            "p",
            tag("strong", state, class_=f"state {data.state.word}"),
            reason,
            " · ",
            words("progress", ended=data.ended, trials=data.request.trials, space=data.request.space.name),
            " · ",
            ([words(f"progress_{role}", runs=runs), " · "] for role in BESIDE if (runs := roles[role])),
            words("as_of", moment=moment),
            " ",
            live,
        ),
    )


def _navigation(words: Words, sections: dict[str, Html | None]) -> Html:
    shown = [name for name in NAVIGATION if sections.get(name)]
    return tag(
        "nav",
        tag("ul", (tag("li", tag("a", words(name), href=f"#{name}")) for name in shown)),
        aria_label=words("contents"),
    )


@lru_cache
def _file(name: str) -> Html:
    return Html((FOLDER / name).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
