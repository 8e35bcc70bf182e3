"""What the curves and the data say is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.report.extras import FindingNote, HealthNote, ReportExtras
from sweeps.report.html import Html, join, own, sentence, tag
from sweeps.report.words import Words

SEVERITIES = ("problem", "warning", "note")
NAMED_TRIALS = 6
NAMED_FILES = 5


def diagnosis(words: Words, findings: Sequence[FindingNote]) -> Html | None:
    """The findings, worst first."""
    if not findings:
        return None
    ordered = sorted(findings, key=lambda one: SEVERITIES.index(one.severity))
    return tag(
        "section",
        tag("h2", words("diagnosis"), id="diagnosis-title"),
        tag("ul", (_finding(words, one) for one in ordered), class_="findings"),
        id="diagnosis",
        aria_labelledby="diagnosis-title",
    )


def data_health(words: Words, extras: ReportExtras) -> Html | None:
    """Figures of the data, and what a person should look at in it."""
    if not extras.health and not extras.health_notes:
        return None
    figures = tag(
        "dl",
        (tag("div", tag("dt", own(name)), tag("dd", own(value))) for name, value in extras.health.items()),
        class_="figures",
    )
    return tag(
        "section",
        tag("h2", words("health"), id="health-title"),
        figures if extras.health else None,
        tag("h3", words("look_at")) if extras.health_notes else None,
        tag("ul", (_health_note(words, note) for note in extras.health_notes)) if extras.health_notes else None,
        id="health",
        aria_labelledby="health-title",
    )


def _finding(words: Words, one: FindingNote) -> Html:
    trials = None
    if one.trials:
        more = len(one.trials) - NAMED_TRIALS
        named = ", ".join(one.trials[:NAMED_TRIALS])
        trials = tag(
            "p",
            words("found_in", count=len(one.trials)),
            " ",
            own(named),
            f" {words('and_more', count=more)}" if more > 0 else "",
            class_="quiet",
        )
    severity = tag("strong", words(f"severity_{one.severity}"), class_="severity")
    todo = tag("p", tag("span", words("do_next"), class_="quiet"), " ", sentence(one.next))
    return tag(
        "li",
        tag("p", severity, " ", sentence(one.text)),
        todo if one.next else None,
        trials,
        class_=one.severity,
    )


def _health_note(words: Words, note: HealthNote) -> Html:
    named, rest = note.files[:NAMED_FILES], note.files[NAMED_FILES:]
    count = f"{len(note.files)} " if note.files else ""
    listed = tag("span", own(", ".join(named)), class_="quiet")
    more = None
    if rest:
        more = tag("details", tag("summary", words("and_more", count=len(rest))), tag("p", own(", ".join(rest))))
    return tag("li", count, own(note.what), join(": ", listed) if named else None, more)
