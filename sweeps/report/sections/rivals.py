"""Methods that need no sweep beside the search: one run each, and over the confirmation seeds where judged."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sweeps.confirm.confirmation import CONFIRMATION, judged_runs
from sweeps.confirm.learning_curve import learning_curve
from sweeps.report.data import RunData
from sweeps.report.html import Child, Html, cell, tag
from sweeps.report.trial_marks import figure, kind, status
from sweeps.report.words import Words
from sweeps.trials.record import TrialRecord


def rivals(data: RunData, words: Words) -> Html | None:
    """A row for each method under the default's and the best's; None where none was run."""
    by_method: dict[str, list[TrialRecord]] = {}
    for record in data.records:
        if record.role == "rival":
            by_method.setdefault(record.label or record.trial_id, []).append(record)
    if not by_method:
        return None
    _, ours, theirs = judged_runs(data.records)
    rows = [
        _row(data, words, words("kind_default"), data.default, list(theirs.values())),
        _row(data, words, words("kind_best"), data.best, list(ours.values())),
        *(_method(data, words, name, runs) for name, runs in by_method.items()),
    ]
    heads = ["method", "trial", "objective", "against_default", "status", "objective_on_test", "seeds"]
    return tag(
        "section",
        tag("h2", words("rivals"), id="rivals-title"),
        tag("p", words("rivals_note")),
        tag(
            "div",
            tag(
                "table",
                tag("caption", words("rivals_caption"), class_="unseen"),
                tag("thead", tag("tr", (tag("th", words(head), scope="col") for head in heads))),
                tag("tbody", rows),
                class_="sortable",
            ),
            class_="scroll",
            tabindex="0",
            role="region",
            aria_labelledby="rivals-title",
        ),
        id="rivals",
        aria_labelledby="rivals-title",
    )


def _method(data: RunData, words: Words, name: str, runs: Sequence[TrialRecord]) -> Html:
    own = next((record for record in runs if record.origin != CONFIRMATION), None)
    return _row(data, words, name, own, [record for record in runs if record.origin == CONFIRMATION])


def _row(data: RunData, words: Words, name: str, record: TrialRecord | None, judged: Sequence[TrialRecord]) -> Html:
    ends = [learning_curve(run).end for run in judged if run.status == "finished"]
    ends = [end for end in ends if math.isfinite(end)]
    mean = math.fsum(ends) / len(ends) if ends else None
    objective = None if record is None else record.objective
    default = None if data.default is None else data.default.objective
    change = 100 * (objective / default - 1) if objective is not None and default else None
    cells: list[tuple[Child, float | None]] = [
        ("" if record is None else record.trial_id, None),
        (figure(objective), objective),
        ("" if change is None else f"{change:+.1f} %", change),
        ("" if record is None else status(words, record), None),
        (figure(mean), mean),
        (", ".join(str(run.seed) for run in judged), None),
    ]
    return tag(
        "tr",
        tag("th", cell(name), scope="row"),
        (tag("td", cell(text), data_sort=None if value is None else f"{value:.6g}") for text, value in cells),
        class_=f"trial {kind(data, record)}" if record is not None else None,
        data_trial=None if record is None else record.trial_id,
    )
