"""Importance as bars with their intervals, and what chance gives."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from sweeps.report.charts.svg import Chart, Plot, Scale, label, path, shape, together
from sweeps.report.importance import Comparison, Importance
from sweeps.report.table import simple_table
from sweeps.report.text import Words

ROW = 34.0


def importance_chart(words: Words, found: Sequence[Importance], at: Comparison) -> Chart:
    """One bar for each coordinate, greatest first."""
    plot = Plot(width=460, height=50 + ROW * len(found), left=12, right=40, top=6)
    x = Scale(0.0, 1.0, *plot.across)
    bars = (_bar(one, x, plot.top + place * ROW) for place, one in enumerate(found))
    name = words.label(words("share_of_order"))
    axis = path("M", plot.left, plot.up[0], "H", x(1.0), class_="axis")
    return Chart(
        "importance",
        words("chart_importance"),
        words("chart_importance_caption", trials=len(at.costs), epoch=at.epoch),
        plot,
        together([bars, plot.x_axis(x, name, (0.0, 0.25, 0.5, 0.75, 1.0), ".0%"), axis]),
        legend=[("interval", words("interval_90")), ("chance", words("chance"))],
        table=simple_table(
            words("chart_importance"),
            [words("coordinate"), words("share"), words("interval_90"), words("chance")],
            [[one.name, f"{one.share:.0%}", f"{one.low:.0%} – {one.high:.0%}", f"{one.chance:.0%}"] for one in found],
        ),
    )


def _bar(one: Importance, x: Scale, top: float) -> Markup:
    left, middle = x(0.0), top + 22
    looks = "bar" if one.clear else "bar unclear"
    return shape(
        "g",
        label(one.name, left, top + 11, class_="over"),
        label(f"{one.share:.0%}", x(1.0) + 36, middle + 4, "end"),
        shape("rect", x=left, y=middle - 5, width=max(x(one.share) - left, 0.5), height=10, class_=looks),
        path("M", x(one.low), middle, "H", x(one.high), class_="line interval"),
        path("M", x(min(one.chance, 1.0)), middle - 8, "v16", class_="line chance"),
    )
