"""How the confirmation's interval narrowed: a row for each look, with no difference and the margin that counts as
none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from markupsafe import Markup

from sweeps.report.charts.svg import Scale, label, path, shape, tick_label
from sweeps.report.text import Words

WIDTH, ROW, LEFT = 300.0, 15.0, 30.0
MOST_TIMES_WIDER = 3.0
"""The scale holds intervals up to this many times the last one; wider ones, of few pairs, leave it at both sides."""


class Look(Protocol):
    """The result of a look: the pairs judged, the mean difference with its interval (None: not known), the word."""

    @property
    def pairs(self) -> int: ...
    @property
    def low(self) -> float | None: ...
    @property
    def mean(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def decision(self) -> str: ...


class _Known(NamedTuple):
    pairs: int
    low: float
    mean: float
    high: float
    decision: str


def looks_picture(
    words: Words,
    looks: Sequence[Look],
    seeds: Sequence[float],
    margin: float,
    *,
    unit: str = " %",
    side: str = "left_is_better",
) -> Markup | None:
    """The sequence of intervals, the last one strongest, over a dot for each seed's difference.

    Args:
        words: The page's texts.
        looks: In the order of their pairs; those without a finite interval are left out.
        seeds: The differences of the judged pairs.
        margin: Differences inside plus or minus this count as none.
        unit: What is written after a number.
        side: The text that says on which side of zero the finalist is better.

    Returns:
        The picture; None where no look has an interval.
    """
    known = [found for look in looks if (found := _known(look)) is not None]
    if not known:
        return None
    last = known[-1]
    ends = [abs(end) for one in known for end in (one.low, one.high)]
    near = max(abs(last.low), abs(last.high), 2 * margin, *map(abs, seeds), 1e-9)
    reach = 1.15 * min(max([near, *ends]), MOST_TIMES_WIDER * near)
    x = Scale(-reach, reach, LEFT, WIDTH - 8.0)
    floor = 8 + ROW * len(known) + 14
    shown = {"difference": f"{last.mean:+.1f}", "low": f"{last.low:+.1f}", "high": f"{last.high:+.1f}"}
    sequence = "; ".join(f"{one.pairs}: {one.low:+.1f}{unit} … {one.high:+.1f}{unit}" for one in known)
    return shape(
        "svg",
        shape("rect", x=x(-margin), y=6, width=x(margin) - x(-margin), height=floor - 4, class_="margin"),
        path("M", x(0.0), 4, "V", floor + 4, class_="axis"),
        (_row(one, x, 8 + ROW * (place + 0.5), one is last) for place, one in enumerate(known)),
        (shape("circle", cx=x(seed), cy=floor - 4, r="2.5", class_="seed") for seed in seeds if abs(seed) <= reach),
        (
            label(f"{tick_label(tick)}{unit}", x(tick), floor + 14, "middle")
            for tick in x.ticks(5)
            if LEFT + 12 < x(tick) < WIDTH - 16
        ),
        label(words.label(words(side)), LEFT, floor + 27, class_="guide"),
        viewBox=f"0 0 {WIDTH:.0f} {floor + 31:.0f}",
        role="img",
        direction="ltr",
        class_="interval-picture",
        aria_label=words("interval_picture", **shown, margin=f"{margin:g}") + " " + words("looks", looks=sequence),
    )


def _row(look: _Known, x: Scale, middle: float, is_last: bool) -> Markup:
    """An interval with caps where its ends are inside the scale, named by the number of its pairs."""
    kind = "best" if is_last else "look"
    low, high = (min(max(x(end), x.start), x.stop) for end in (look.low, look.high))
    caps = [end for end, inside in ((low, x(look.low) >= x.start), (high, x(look.high) <= x.stop)) if inside]
    return shape(
        "g",
        shape("title", f"{look.pairs}: {look.low:+.2f} … {look.high:+.2f}, {look.decision}"),
        label(look.pairs, LEFT - 8, middle + 4, "end"),
        path("M", low, middle, "H", high, class_=f"line {kind}"),
        (path("M", end, middle - 4, "v8", class_=f"line {kind}") for end in caps),
        shape("circle", cx=x(look.mean), cy=middle, r="4" if is_last else "2.5", class_=f"dot {kind}")
        if x.start <= x(look.mean) <= x.stop
        else None,
    )


def _known(look: Look) -> _Known | None:
    if look.low is None or look.mean is None or look.high is None:
        return None
    found = _Known(look.pairs, look.low, look.mean, look.high, look.decision)
    return found if all(map(math.isfinite, (found.low, found.mean, found.high))) else None
