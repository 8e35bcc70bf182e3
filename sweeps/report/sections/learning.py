"""Objective by epoch, and the weighted loss beside it with why it misleads."""

from __future__ import annotations

from sweeps.report.charts.curves import loss_chart, objective_chart
from sweeps.report.charts.plot import simple_table
from sweeps.report.data import RunData, pairs_at_comparison
from sweeps.report.extras import ExtraTable, ReportExtras
from sweeps.report.html import Html, join, own, sentence, tag
from sweeps.report.importance import rank_correlation
from sweeps.report.words import Words


def learning(data: RunData, words: Words, extras: ReportExtras) -> Html:
    """Both charts side by side."""
    return tag(
        "section",
        tag("h2", words("learning"), id="learning-title"),
        tag("p", sentence(extras.objective)) if extras.objective else None,
        tag(
            "div",
            objective_chart(data, words),
            loss_chart(data, words, extras.loss_bands, misleading(data, words)),
            class_="charts",
        ),
        (_table(table) for table in extras.tables),
        id="learning",
        aria_labelledby="learning-title",
    )


def misleading(data: RunData, words: Words) -> str:
    """Which trial the weighted loss would have chosen, and what it is worth."""
    pairs = pairs_at_comparison(data, "loss")
    if data.comparison is None or len(pairs) < 3:
        return words("loss_misleads")
    by_loss = min(pairs, key=lambda pair: pair[1])
    place = 1 + sum(objective < by_loss[2] for _, _, objective in pairs)
    rho = rank_correlation([loss for _, loss, _ in pairs], [objective for _, _, objective in pairs])
    log = words("loss_would_choose", trial=by_loss[0], place=place, trials=len(pairs), epoch=data.comparison.epoch)
    agreement = "" if rho is None else " " + words("loss_agreement", rho=f"{rho:+.2f}")
    return f"{words('loss_misleads')} {log}{agreement}"


def _table(table: ExtraTable) -> Html:
    shown = join(simple_table(table.title, table.head, table.rows), _note(table.note))
    return tag("details", tag("summary", own(table.title)), shown) if table.folded else tag("div", shown, class_="more")


def _note(text: str) -> Html | None:
    return tag("p", sentence(text), class_="quiet") if text else None
