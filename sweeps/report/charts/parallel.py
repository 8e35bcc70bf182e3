"""Parallel coordinates: a line for each config through its values to its objective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sweeps.report.charts.slices import SHADES, objective_range, shades
from sweeps.report.charts.svg import Chart, Plot, Scale, label, path, points, scale, shape, tick_label, together
from sweeps.report.data import RunData
from sweeps.report.text import Words
from sweeps.report.trial_marks import front_last, group, kind, value_text
from sweeps.trials.objective import number
from sweeps.trials.record import TrialRecord

PLOT = Plot(width=900, height=380, left=70, right=70, top=44, bottom=16)
MOST_WORDS = 12
LONGEST_NAME = 22


@dataclass(frozen=True, slots=True)
class Column:
    """One vertical axis: a scale for numbers, or places for words."""

    name: str
    x: float
    scale: Scale | None
    places: dict[str, float]

    def position(self, value: object) -> float | None:
        """The position of a value; None where it has none."""
        if self.scale is None:
            return self.places.get(value_text(value))
        found = number(value)
        return None if found is None or (self.scale.log and found <= 0) else self.scale(found)


def parallel_chart(data: RunData, words: Words) -> Chart | None:
    """All configs of the search; None with fewer than two parameters that differ or fewer than three trials."""
    drawn = [record for record in data.search if record.objective is not None]
    names = [name for name in data.config.columns if len({value_text(_value(r, name)) for r in drawn}) > 1]
    if len(names) < 2 or len(drawn) < 3:
        return None
    columns = _columns(data, words, names, drawn)
    shade = shades(data)
    worst_first = sorted(drawn, key=lambda record: record.rank, reverse=True)
    lines = (_trial(data, words, record, columns, shade) for record in front_last(data, worst_first))
    return Chart(
        "parallel",
        words("chart_parallel"),
        words("chart_parallel_caption"),
        PLOT,
        together([shape("g", lines), map(_axis, columns)]),
        legend=[
            ("shade-0", words("shade_best")),
            (f"shade-{SHADES - 1}", words("shade_worst")),
            ("default", words("kind_default")),
        ],
        wide=True,
    )


def _columns(data: RunData, words: Words, names: Sequence[str], drawn: Sequence[TrialRecord]) -> list[Column]:
    left, right = PLOT.across
    step = (right - left) / len(names)
    columns = [_column(data, name, left + place * step, drawn) for place, name in enumerate(names)]
    objectives = scale(objective_range(data, drawn), *PLOT.up)
    return [*columns, Column(words.label(words("objective")), right, objectives, {})]


def _column(data: RunData, name: str, x: float, drawn: Sequence[TrialRecord]) -> Column:
    values = [_value(record, name) for record in drawn]
    numbers = [found for value in values if (found := number(value)) is not None]
    if len(numbers) == len(values) and len(set(numbers)) > 2:
        is_log = min(numbers) > 0 and max(numbers) / min(numbers) > 3
        return Column(name, x, scale(numbers, *PLOT.up, log=is_log), {})
    distinct = list(dict.fromkeys(map(value_text, values)))[:MOST_WORDS]
    floor, ceiling = PLOT.up
    step = (floor - ceiling) / len(distinct)
    return Column(name, x, None, {word: floor - (place + 0.5) * step for place, word in enumerate(distinct)})


def _axis(column: Column) -> Markup:
    floor, ceiling = PLOT.up
    name = column.name if len(column.name) <= LONGEST_NAME else f"{column.name[: LONGEST_NAME - 1]}…"
    if column.scale is not None:
        ticks = [(tick_label(tick), column.scale(tick)) for tick in column.scale.ticks(7)]
    else:
        ticks = list(column.places.items())
    return shape(
        "g",
        path("M", column.x, ceiling, "V", floor, class_="axis"),
        label(name, column.x, ceiling - 16, "middle", "name"),
        (label(text, column.x + 6, up + 4, class_="over") for text, up in ticks),
    )


def _trial(
    data: RunData, words: Words, record: TrialRecord, columns: Sequence[Column], shade: dict[str, str]
) -> Markup | None:
    values = [*(_value(record, column.name) for column in columns[:-1]), record.objective]
    placed = [(column.x, column.position(value)) for column, value in zip(columns, values, strict=True)]
    known = [(x, max(y, PLOT.up[1])) for x, y in placed if y is not None]
    if len(known) < len(placed):
        return None
    looks = f"line {kind(data, record)} shade-{shade.get(record.trial_id, '0')}"
    return group(data, words, record, shape("polyline", points=points(known), class_=looks))


def _value(record: TrialRecord, name: str) -> object:
    return {**record.params, **record.coordinates}.get(name)
