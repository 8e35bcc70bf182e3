"""A metric by epoch for all trials, one line each, with a mark where it ended."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from sweeps.confirm.plan import CONFIRMATION
from sweeps.report.charts.svg import Chart, Plot, Scale, label, mark, path, points, scale, shape, tick_label, together
from sweeps.report.data import RunData
from sweeps.report.extras import LossBand
from sweeps.report.table import Table, simple_table
from sweeps.report.text import Words
from sweeps.report.trial_marks import STATUSES, front_last, group, kind
from sweeps.trials.event import Event
from sweeps.trials.objective import number
from sweeps.trials.record import TrialRecord

PLOT = Plot(width=460, height=320)
Line = list[tuple[float, float]]
LOG_SPAN = 20.0
SHOWN_SHARE = 0.95
"""Of the trials' results: what is worse leaves the chart at its top, so that one bad trial cannot flatten the rest."""
KINDS = ("best", "default", "finalist", "trial", "control", "confirm", "rival")


def objective_chart(data: RunData, words: Words) -> Chart:
    """Objective by epoch, evaluations inside an epoch included."""
    lines = {
        trial_id: [(one.epoch, data.sign * one.objective) for one in curve.evaluations if math.isfinite(one.epoch)]
        for trial_id, curve in data.curves.items()
    }
    y = scale(_objective_range(data, lines), *PLOT.up)
    guides = (("guide_mean", data.mean_frame_error), ("guide_target", data.targets.objective_at(90)))
    caption = words("chart_objective_caption")
    if any(record.origin == CONFIRMATION for record in data.records):
        caption += " " + words("confirm_is_tested")
    return _chart(
        data,
        words,
        "objective",
        lines,
        y,
        caption,
        [_guide(words, name, data.sign * cost, y) for name, cost in guides if cost is not None],
    )


def loss_chart(data: RunData, words: Words, bands: Sequence[LossBand], caption: str) -> Chart:
    """The weighted training loss by epoch, with the ranges expected of it."""
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
    behind = [_band(words, band, _epochs(data), data.config.budget.epochs, y) for band in bands]
    legend = [("band", words("loss_band"))] if bands else []
    return _chart(data, words, "loss", lines, y, caption, behind, legend)


def _chart(
    data: RunData,
    words: Words,
    metric: str,
    lines: Mapping[str, Line],
    y: Scale,
    caption: str,
    behind: Sequence[Markup | None],
    more_legend: Sequence[tuple[str, str]] = (),
) -> Chart:
    name, title, x = f"{metric}-by-epoch", words(f"chart_{metric}"), _epochs(data)
    drawn = [record for record in front_last(data, list(data.records)) if lines[record.trial_id]]
    trials = (_trial(data, words, record, lines[record.trial_id], x, y) for record in drawn)
    return Chart(
        name,
        title,
        caption,
        PLOT,
        together(
            [
                PLOT.clip(f"{name}-area"),
                PLOT.axes(x, y, words.label(words("epoch")), words.label(words(metric)), whole=True),
                behind,
                shape("g", trials, clip_path=f"url(#{name}-area)"),
            ]
        ),
        legend=[*_legend(data, words, drawn), *more_legend],
        table=_table(data, words, title, metric),
    )


def _objective_range(data: RunData, lines: Mapping[str, Line]) -> list[float]:
    """From the least objective to the worst result, at least up to the 50 % target: there trials differ."""
    sign = data.sign
    values = sorted(sign * value for line in lines.values() for _, value in line if math.isfinite(value))
    results = sorted(record.cost for record in data.records if record.cost is not None)
    if not values or not results:
        return []
    halfway = data.targets.objective_at(50)
    middle = values[len(values) // 2] if halfway is None else halfway
    worst = results[min(int(SHOWN_SHARE * len(results)), len(results) - 1)]
    return [sign * cost for cost in (values[0], middle, worst)]


def _trial(data: RunData, words: Words, record: TrialRecord, line: Line, x: Scale, y: Scale) -> Markup:
    floor, ceiling = PLOT.up
    placed = [
        (x(epoch), min(max(y(value), ceiling - 20), floor + 20))
        for epoch, value in line
        if math.isfinite(value) and (value > 0 or not y.log)
    ]
    if not placed:
        return shape("g", class_="trial", data_trial=record.trial_id)
    end_x, end_y = placed[-1]
    drawn = shape("polyline", points=points(placed), class_=f"line {kind(data, record)}")
    return group(data, words, record, drawn, mark(record.status or "running", end_x, min(max(end_y, ceiling), floor)))


def _epochs(data: RunData) -> Scale:
    longest = max([data.config.budget.epochs, *(record.epochs for record in data.records)])
    return Scale(0.0, longest + 0.15, *PLOT.across)


def _guide(words: Words, name: str, value: float, y: Scale) -> Markup | None:
    if not y.low <= value <= y.high:
        return None
    left, right = PLOT.across
    text = words.label(words(name))
    line = path("M", left, y(value), "H", right, class_=f"guide {name}")
    return together([line, label(text, right, y(value) - 4, "end", "guide")])


def _band(words: Words, band: LossBand, x: Scale, epochs: int, y: Scale) -> Markup:
    start, stop = x(band.from_share * epochs), x(band.to_share * epochs)
    top, bottom = y(band.high), y(band.low)
    area = shape("rect", x=start, y=top, width=stop - start, height=bottom - top, class_="band")
    return together([area, label(words.label(band.name), (start + stop) / 2, top + 12, "middle", "guide")])


def _legend(data: RunData, words: Words, drawn: Sequence[TrialRecord]) -> list[tuple[str, str]]:
    if data.config.space.controls:
        in_order = [record for record in data.records if record in drawn]
        entries = [(kind(data, record), record.label or record.trial_id) for record in in_order]
    else:
        kinds = {kind(data, record) for record in drawn}
        entries = [(name, words(f"kind_{name}")) for name in KINDS if name in kinds]
    ends = {record.status or "running" for record in drawn}
    return [*entries, *((f"mark-{end}", words(f"status_{end}")) for end in STATUSES if end in ends)]


def _table(data: RunData, words: Words, caption: str, metric: str) -> Table:
    values = {
        record.trial_id: {_epoch(report): number(report.get(metric)) for report in record.reports}
        for record in data.records
    }
    epochs = sorted({epoch for found in values.values() for epoch in found})
    rows = [[trial_id, *(_cell(found.get(epoch, math.inf)) for epoch in epochs)] for trial_id, found in values.items()]
    return simple_table(caption, [words("trial"), *map(tick_label, epochs)], rows)


def _epoch(report: Event) -> int:
    return int(number(report.get("epoch")) or 0)


def _cell(value: float | None) -> str:
    if value is None:
        return "nan"
    return "" if math.isinf(value) else f"{value:.4g}"
