"""The objective over one coordinate of the configs, and over two of them at once, with the safe range drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sweeps.report.charts.svg import Chart, Plot, Scale, mark, points, scale, shape, together
from sweeps.report.coordinates import Axis, safe_region
from sweeps.report.data import RunData
from sweeps.report.table import Table, simple_table
from sweeps.report.text import Words
from sweeps.report.trial_marks import figure, front_last, group, kind, status
from sweeps.trials.record import TrialRecord

PLOT = Plot(width=460, height=300)
SHADES = 9
FEWEST_FULL = 5


@dataclass(frozen=True, slots=True)
class Dot:
    """A trial at its place."""

    record: TrialRecord
    x: float
    y: float


def slice_chart(data: RunData, words: Words, axis: Axis, name: str) -> Chart | None:
    """The objective over one coordinate; None where fewer than two trials have both."""
    dots = [
        Dot(record, value, record.objective)
        for record in data.search
        if record.objective is not None and (value := axis.value(data.params(record))) is not None
    ]
    if len({dot.x for dot in dots}) < 2:
        return None
    x = scale([*(dot.x for dot in dots), *(axis.safe or ())], *PLOT.across, log=axis.log)
    y = scale(objective_range(data, [dot.record for dot in dots]), *PLOT.up)
    label = axis.name if not axis.formula or axis.formula == axis.name else f"{axis.name} = {axis.formula}"
    caption = words("chart_slice_caption" if axis.safe else "chart_slice_caption_free", name=label)
    title = words("chart_slice", name=axis.name)
    return Chart(
        name,
        title,
        caption,
        PLOT,
        together(
            [
                _safe_range(axis, x),
                PLOT.axes(x, y, label, words.label(words("objective"))),
                shape("g", (_dot(data, words, dot, x, y) for dot in _drawn(data, dots))),
            ]
        ),
        legend=_legend(data, words, dots, bool(axis.safe)),
        table=_table(words, title, [axis.name], [(dot.record, (dot.x,)) for dot in dots]),
    )


def objective_range(data: RunData, records: Sequence[TrialRecord]) -> list[float]:
    """The objectives that a scale has to hold: of all controls; of a search's full-length trials, where there are some,
    because what was stopped early is worse for that reason alone."""
    sign = data.sign
    known = [record.cost for record in records if record.cost is not None]
    full = [one.cost for one in records if one.cost is not None and one.status == "finished"]
    shown = known if data.config.space.controls else shown_range(full if len(full) >= FEWEST_FULL else known)
    return [sign * cost for cost in shown]


def shown_range(costs: Sequence[float]) -> list[float]:
    """The costs up to three times as far above the best as 3 of 4 lie: worse ones are drawn at the upper edge."""
    ordered = sorted(costs)
    least, usual = ordered[0], ordered[int(0.75 * (len(ordered) - 1))]
    return [one for one in ordered if one <= least + 3 * (usual - least)] if usual > least else ordered


def plane_chart(data: RunData, words: Words, x_axis: Axis, y_axis: Axis) -> Chart | None:
    """All configs in the plane of two coordinates, shaded by objective; None where fewer than three have both."""
    dots = []
    for record in data.search:
        across, up = x_axis.value(data.params(record)), y_axis.value(data.params(record))
        if across is not None and up is not None:
            dots.append(Dot(record, across, up))
    if len(dots) < 3:
        return None
    region = safe_region(data.config.limits, x_axis, y_axis)
    x = scale([*(dot.x for dot in dots), *(corner[0] for corner in region)], *PLOT.across, log=x_axis.log)
    y = scale([*(dot.y for dot in dots), *(corner[1] for corner in region)], *PLOT.up, log=y_axis.log)
    shade = shades(data)
    inside = shape("polygon", points=points((x(a), y(b)) for a, b in region), class_="safe") if region else None
    drawn = (_dot(data, words, dot, x, y, shade.get(dot.record.trial_id, "none")) for dot in _drawn(data, dots))
    title = words("chart_plane", x=x_axis.name, y=y_axis.name)
    return Chart(
        "plane",
        title,
        words("chart_plane_caption"),
        PLOT,
        together([inside, PLOT.axes(x, y, x_axis.name, y_axis.name), shape("g", drawn)]),
        legend=[
            ("dot shade-0", words("shade_best")),
            (f"dot shade-{SHADES - 1}", words("shade_worst")),
            *_legend(data, words, dots, bool(region)),
        ],
        table=_table(words, title, [x_axis.name, y_axis.name], [(dot.record, (dot.x, dot.y)) for dot in dots]),
    )


def shades(data: RunData) -> dict[str, str]:
    """The shade of each trial by the rank of its objective, 0 (best) to 8."""
    placed = [record for record in data.search if record.objective is not None]
    placed.sort(key=lambda record: record.rank)
    last = max(len(placed) - 1, 1)
    return {record.trial_id: str(round((SHADES - 1) * place / last)) for place, record in enumerate(placed)}


def _drawn(data: RunData, dots: Sequence[Dot]) -> list[Dot]:
    by_id = {dot.record.trial_id: dot for dot in dots}
    return [by_id[record.trial_id] for record in front_last(data, [dot.record for dot in dots])]


def _dot(data: RunData, words: Words, dot: Dot, x: Scale, y: Scale, shade: str | None = None) -> Markup:
    across, up = x(dot.x), max(y(dot.y), PLOT.up[1])
    whole = "whole" if dot.record.status == "finished" else "partial"
    looks = f"dot {whole}" + ("" if shade is None else f" shade-{shade}")
    drawn = [shape("circle", cx=across, cy=up, r="5", class_=looks)]
    if dot.record.status in ("diverged", "failed"):
        drawn = [mark(dot.record.status, across, up)]
    shown = kind(data, dot.record)
    if shown in ("best", "default"):
        drawn.append(mark(shown, across, up))
    return group(data, words, dot.record, drawn)


def _safe_range(axis: Axis, x: Scale) -> Markup | None:
    if axis.safe is None:
        return None
    floor, ceiling = PLOT.up
    left, right = x(axis.safe[0]), x(axis.safe[1])
    return shape("rect", x=left, y=ceiling, width=right - left, height=floor - ceiling, class_="safe")


def _legend(data: RunData, words: Words, dots: Sequence[Dot], safe: bool) -> list[tuple[str, str]]:
    kinds = {kind(data, dot.record) for dot in dots}
    entries = [(f"mark-{name}", words(f"kind_{name}")) for name in ("best", "default") if name in kinds]
    if "finalist" in kinds:
        entries.append(("dot finalist", words("kind_finalist")))
    if any(dot.record.status != "finished" for dot in dots):
        entries.append(("dot partial", words("stopped_dot")))
    if any(dot.record.role == "control" for dot in dots) and not data.config.space.controls:
        entries.append(("dot control", words("kind_control")))
    return [*entries, *([("safe", words("safe_range"))] if safe else [])]


def _table(
    words: Words, caption: str, names: Sequence[str], rows: Sequence[tuple[TrialRecord, tuple[float, ...]]]
) -> Table:
    return simple_table(
        caption,
        [words("trial"), *names, words("objective"), words("status")],
        [
            [
                record.trial_id,
                *(f"{value:.4g}" for value in values),
                figure(record.objective),
                status(words, record),
            ]
            for record, values in rows
        ],
    )
