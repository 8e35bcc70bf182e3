"""Findings about the texts that a logged run was trained on, where the data set is given or its config names it."""

from __future__ import annotations

from xtts.diagnostics.finding import Finding, Numbers
from xtts.diagnostics.logged_run import LoggedRun
from xtts.prepare.letter_order import NO_ORDER
from xtts.prepare.text_fit import NO_AGREEMENT, REPEATED

UNKNOWN = "unknown"
"""In place of a number; the catalogues have a word for it"""


def letters_shuffled(run: LoggedRun) -> Finding | None:
    """The letters of the texts stand in no order."""
    order = run.texts.letter_order if run.texts else None
    if order is None or order < NO_ORDER:
        return None
    return Finding("letters_in_no_order", "problem", {"order": order})


def lengths_do_not_fit(run: LoggedRun) -> Finding | None:
    """Long texts do not have long recordings: transcripts of other clips."""
    agreement = run.texts.length_agreement if run.texts else None
    if agreement is None or agreement >= NO_AGREEMENT:
        return None
    return Finding("lengths_do_not_fit", "problem", {"agreement": agreement})


def recordings_repeated(run: LoggedRun) -> Finding | None:
    """One recording stands under several texts, of which one can be right."""
    if run.texts is None or run.texts.repeated < REPEATED:
        return None
    return Finding("recordings_repeated", "problem", {"share": run.texts.repeated})


def texts_seen(run: LoggedRun) -> Finding | None:
    """What was seen of the texts, where nothing speaks against them; without a data set that they are unknown."""
    if run.texts is None:
        return Finding("texts_unknown", "note")
    if letters_shuffled(run) or lengths_do_not_fit(run) or recordings_repeated(run):
        return None
    order, agreement = run.texts.letter_order, run.texts.length_agreement
    numbers: Numbers = {
        "folder": run.texts.folder,
        "clips": run.texts.clips,
        "order": UNKNOWN if order is None else f"{order:.0%}",
        "agreement": UNKNOWN if agreement is None else f"{agreement:.2f}",
    }
    return Finding("texts_fit", "note", numbers)


LOGGED_TEXT_RULES = (letters_shuffled, lengths_do_not_fit, recordings_repeated, texts_seen)
