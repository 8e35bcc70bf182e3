"""What fresh seeds said: finalist and default pair by pair, and how the finalist was chosen."""

from __future__ import annotations

import math

from sweeps.confirm.confirmation import SELECTION
from sweeps.confirm.learning_curve import learning_curve
from sweeps.report.charts.pairs import pairs_chart
from sweeps.report.charts.plot import simple_table
from sweeps.report.data import RunData
from sweeps.report.html import Html, tag
from sweeps.report.trial_marks import figure, status
from sweeps.report.words import Words
from sweeps.trials.record import TrialRecord


def confirmation(data: RunData, words: Words) -> Html | None:
    """None where no run has confirmed anything."""
    chart, selection = pairs_chart(data, words), _selection(data, words)
    if chart is None and selection is None:
        return None
    return tag(
        "section",
        tag("h2", words("confirmation"), id="confirmation-title"),
        tag("p", words("confirmation_note")),
        tag("div", chart, tag("div", selection) if selection else None, class_="charts"),
        id="confirmation",
        aria_labelledby="confirmation-title",
    )


def _end(record: TrialRecord) -> float | None:
    """What the finalist is chosen by: the mean of the last three evaluations."""
    end = learning_curve(record).end
    return end if math.isfinite(end) else None


def _selection(data: RunData, words: Words) -> Html | None:
    rows = [
        [record.trial_id, record.label or "", record.seed, figure(_end(record)), status(words, record)]
        for record in data.records
        if record.origin == SELECTION
    ]
    if not rows:
        return None
    head = [words("run"), words("candidate"), words("seed"), words("end_objective"), words("status")]
    return simple_table(words("selection_caption"), head, rows)
