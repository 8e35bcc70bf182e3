"""Importance as bars with their intervals, and what chance gives beside them."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.report.charts.plot import Plot, Scale, figure, simple_table
from sweeps.report.html import Html, tag
from sweeps.report.importance import Comparison, Importance
from sweeps.report.words import Words

ROW = 34.0


def importance_chart(words: Words, found: Sequence[Importance], at: Comparison) -> Html:
    """One bar for each coordinate, greatest first."""
    plot = Plot(width=460, height=50 + ROW * len(found), left=12, right=40, top=6)
    x = Scale(0.0, 1.0, *plot.across)
    return figure(
        words,
        "importance",
        words("chart_importance"),
        words("chart_importance_caption", trials=len(at.costs), epoch=at.epoch),
        plot,
        (_bar(one, x, plot.top + place * ROW) for place, one in enumerate(found)),
        _axis(words, plot, x),
        legend=[("interval", words("interval_90")), ("chance", words("chance"))],
        table=simple_table(
            words("chart_importance"),
            [words("coordinate"), words("share"), words("interval_90"), words("chance")],
            [[one.name, f"{one.share:.0%}", f"{one.low:.0%} – {one.high:.0%}", f"{one.chance:.0%}"] for one in found],
        ),
    )


def _bar(one: Importance, x: Scale, top: float) -> Html:
    left, middle = x(0.0), top + 22
    chance = x(min(one.chance, 1.0))
    return tag(
        "g",
        tag("text", one.name, x=left, y=top + 11, class_="over"),
        tag("text", f"{one.share:.0%}", x=x(1.0) + 36, y=middle + 4, text_anchor="end"),
        tag(
            "rect",
            x=left,
            y=middle - 5,
            width=max(x(one.share) - left, 0.5),
            height=10,
            class_="bar" if one.clear else "bar unclear",
        ),
        tag("path", d=f"M{x(one.low):.1f} {middle}H{x(one.high):.1f}", class_="line interval"),
        tag("path", d=f"M{chance:.1f} {middle - 8}v16", class_="line chance"),
    )


def _axis(words: Words, plot: Plot, x: Scale) -> Html:
    floor = plot.up[0]
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
    name = words.label(words("share_of_order"))
    return tag(
        "g",
        tag("path", d=f"M{x(0.0):.1f} {floor}H{x(1.0):.1f}", class_="axis"),
        (tag("text", f"{tick:.0%}", x=x(tick), y=floor + 15, text_anchor="middle") for tick in ticks),
        tag("text", name, x=x(0.5), y=plot.height - 6, text_anchor="middle", class_="name"),
    )
