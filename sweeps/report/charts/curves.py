"""A metric by epoch for all trials, one line each, with a mark where it ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from sweeps.confirm.confirmation import CONFIRMATION
from sweeps.report.charts.plot import Plot, Scale, clip, figure, mark, points, scale, simple_table, tick_label
from sweeps.report.coordinates import number
from sweeps.report.data import RunData
from sweeps.report.extras import LossBand
from sweeps.report.html import Html, tag
from sweeps.report.trial_marks import front_last, group, kind
from sweeps.report.words import Words
from sweeps.trials.record import Event, TrialRecord

PLOT = Plot(width=460, height=320)
Line = list[tuple[float, float]]
LOG_SPAN = 20.0
SHOWN_SHARE = 0.95
"""Of the trials' results: what is worse leaves the chart at its top, so that one bad trial cannot flatten the rest."""


def objective_chart(data: RunData, words: Words) -> Html:
    """Objective by epoch, evaluations inside an epoch included."""
    lines = {
        trial_id: [(one.epoch, data.sign * one.objective) for one in curve.evaluations if math.isfinite(one.epoch)]
        for trial_id, curve in data.curves.items()
    }
    error, target = (
        None if cost is None else data.sign * cost for cost in (data.mean_frame_error, data.targets.objective_at(90))
    )
    y = scale(_objective_range(data, lines), *PLOT.up)
    guides = [
        *([("guide-mean", error, words.label(words("guide_mean")))] if error is not None else []),
        *([("guide-target", target, words.label(words("guide_target")))] if target is not None else []),
    ]
    return _chart(
        data,
        words,
        "objective-by-epoch",
        lines,
        y,
        words("chart_objective"),
        _objective_caption(data, words),
        words("objective"),
        _guides(guides, y),
        lambda record: {_epoch(report): number(report.get("objective")) for report in record.reports},
    )


def _objective_caption(data: RunData, words: Words) -> str:
    judged = any(record.origin == CONFIRMATION for record in data.records)
    return words("chart_objective_caption") + (" " + words("confirm_is_tested") if judged else "")


def loss_chart(data: RunData, words: Words, bands: Sequence[LossBand], caption: str) -> Html:
    """The weighted training loss by epoch, with the ranges that somebody promised for it."""
    lines = {
        record.trial_id: [
            (float(_epoch(report)), value)
            for report in record.reports
            if (value := number(report.get("loss"))) is not None
        ]
        for record in data.records
    }
    values = [value for line in lines.values() for _, value in line]
    values += [end for band in bands for end in (band.low, band.high)]
    is_log = bool(values) and min(values) > 0 and max(values) / min(values) > LOG_SPAN
    y = scale(values, *PLOT.up, log=is_log)
    return _chart(
        data,
        words,
        "loss-by-epoch",
        lines,
        y,
        words("chart_loss"),
        caption,
        words("loss"),
        _bands(data, words, bands, y),
        lambda record: {_epoch(report): number(report.get("loss")) for report in record.reports},
        more_legend=[("band", words("loss_band"))] if bands else [],
    )


def _chart(
    data: RunData,
    words: Words,
    name: str,
    lines: Mapping[str, Line],
    y: Scale,
    title: str,
    caption: str,
    y_label: str,
    behind: Html,
    by_epoch: Callable[[TrialRecord], Mapping[int, float | None]],
    more_legend: Sequence[tuple[str, str]] = (),
) -> Html:
    x = _epochs(data)
    drawn = [record for record in front_last(data, list(data.records)) if lines[record.trial_id]]
    return figure(
        words,
        name,
        title,
        caption,
        PLOT,
        clip(f"{name}-area", PLOT),
        PLOT.axes(x, y, words.label(words("epoch")), words.label(y_label), whole=True),
        behind,
        tag(
            "g",
            (_trial(data, words, record, lines[record.trial_id], x, y) for record in drawn),
            clip_path=f"url(#{name}-area)",
        ),
        legend=[*_legend(data, words, drawn), *more_legend],
        table=_table(data, words, title, by_epoch),
    )


def _objective_range(data: RunData, lines: Mapping[str, Line]) -> list[float]:
    """From the least objective to the worst result, at least up to the 50 % target: where trials can be told apart."""
    sign = data.sign
    values = sorted(sign * value for line in lines.values() for _, value in line if math.isfinite(value))
    results = sorted(record.cost for record in data.records if record.cost is not None)
    if not values or not results:
        return []
    halfway = data.targets.objective_at(50)
    middle = values[len(values) // 2] if halfway is None else halfway
    worst = results[min(int(SHOWN_SHARE * len(results)), len(results) - 1)]
    return [sign * cost for cost in (values[0], middle, worst)]


def _trial(data: RunData, words: Words, record: TrialRecord, line: Line, x: Scale, y: Scale) -> Html:
    floor, ceiling = PLOT.up
    placed = [
        (x(epoch), min(max(y(value), ceiling - 20), floor + 20))
        for epoch, value in line
        if math.isfinite(value) and (value > 0 or not y.log)
    ]
    if not placed:
        return tag("g", class_="trial", data_trial=record.trial_id)
    end_x, end_y = placed[-1]
    return group(
        data,
        words,
        record,
        tag("polyline", points=points(placed), class_=f"line {kind(data, record)}"),
        mark(record.status or "running", end_x, min(max(end_y, ceiling), floor)),
    )


def _epochs(data: RunData) -> Scale:
    longest = max([data.request.budget.epochs, *(record.epochs for record in data.records)])
    return Scale(0.0, longest + 0.15, *PLOT.across)


def _guides(guides: Sequence[tuple[str, float, str]], y: Scale) -> Html:
    left, right = PLOT.across
    shown = [guide for guide in guides if y.low <= guide[1] <= y.high]
    return tag(
        "g",
        (tag("path", d=f"M{left} {y(value):.1f}H{right}", class_=f"guide {kind}") for kind, value, _ in shown),
        (tag("text", text, x=right, y=y(value) - 4, text_anchor="end", class_="guide") for _, value, text in shown),
    )


def _bands(data: RunData, words: Words, bands: Sequence[LossBand], y: Scale) -> Html:
    x = _epochs(data)
    longest = data.request.budget.epochs
    drawn = []
    for band in bands:
        start, stop = x(band.from_share * longest), x(band.to_share * longest)
        top, bottom = y(band.high), y(band.low)
        drawn += [
            tag("rect", x=start, y=top, width=stop - start, height=bottom - top, class_="band"),
            tag("text", words.label(band.name), x=(start + stop) / 2, y=top + 12, text_anchor="middle", class_="guide"),
        ]
    return tag("g", drawn)


def _legend(data: RunData, words: Words, drawn: Sequence[TrialRecord]) -> list[tuple[str, str]]:
    kinds = {kind(data, record) for record in drawn}
    entries = []
    if data.request.space.controls:
        in_order = [record for record in data.records if record in drawn]
        entries = [(kind(data, record), record.label or record.trial_id) for record in in_order]
    else:
        entries = [
            (name, words(f"kind_{name}"))
            for name in ("best", "default", "trial", "control", "confirm", "rival")
            if name in kinds
        ]
    ends = {record.status or "running" for record in drawn}
    marks = [(f"mark-{end}", words.known(f"status_{end}", end)) for end in ENDS if end in ends]
    return [*entries, *marks]


ENDS = ("finished", "stopped", "diverged", "failed", "budget", "running")


def _table(
    data: RunData, words: Words, caption: str, by_epoch: Callable[[TrialRecord], Mapping[int, float | None]]
) -> Html:
    values = {record.trial_id: by_epoch(record) for record in data.records}
    epochs = sorted({epoch for found in values.values() for epoch in found})
    rows = [
        [record.trial_id, *(_cell(values[record.trial_id].get(epoch, math.inf)) for epoch in epochs)]
        for record in data.records
    ]
    return simple_table(caption, [words("trial"), *(tick_label(epoch) for epoch in epochs)], rows)


def _epoch(report: Event) -> int:
    return int(number(report.get("epoch")) or 0)


def _cell(value: float | None) -> str:
    if value is None:
        return "nan"
    return "" if math.isinf(value) else f"{value:.4g}"
