"""Scales, axes and the figure around a chart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sweeps.report.html import Child, Html, cell, tag
from sweeps.report.words import Words

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` at positions from `start` to `stop`, in logarithms where `log`."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The position of a value."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Readable values inside the scale, at most about `most`."""
        return _log_ticks(self.low, self.high, most) if self.log else _linear_ticks(self.low, self.high, most)


def scale(values: Iterable[float], start: float, stop: float, *, log: bool = False, pad: float = 0.04) -> Scale:
    """A scale that holds all `values` with some room at both ends."""
    found = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    low, high = min(found, default=1.0), max(found, default=2.0)
    if log:
        room = (high / low) ** pad if high / low > 1 + 1e-9 else 1.1
        return Scale(low / room, high * room, start, stop, True)
    room = (high - low) * pad if high - low > 1e-12 * max(abs(high), 1e-12) else max(abs(high), 1.0) * 0.05
    return Scale(low - room, high + room, start, stop)


@dataclass(frozen=True, slots=True)
class Plot:
    """The area of a chart in user units, and the room around it."""

    width: float = 460
    height: float = 300
    left: float = 60
    right: float = 12
    top: float = 12
    bottom: float = 42

    @property
    def across(self) -> tuple[float, float]:
        """Where the x axis starts and stops."""
        return self.left, self.width - self.right

    @property
    def up(self) -> tuple[float, float]:
        """Where the y axis starts (at the bottom) and stops."""
        return self.height - self.bottom, self.top

    def axes(self, x: Scale, y: Scale, x_label: str, y_label: str, *, whole: bool = False) -> Html:
        """Grid lines, tick labels and names of both axes; `whole`: x counts."""
        left, right = self.across
        floor, ceiling = self.up
        across = [tick for tick in x.ticks() if not whole or tick == int(tick)]
        return tag(
            "g",
            (tag("path", d=f"M{_short(x(tick))} {floor}V{ceiling}", class_="grid") for tick in across),
            (tag("path", d=f"M{left} {_short(y(tick))}H{right}", class_="grid") for tick in y.ticks()),
            (tag("text", tick_label(tick), x=x(tick), y=floor + 15, text_anchor="middle") for tick in across),
            (tag("text", tick_label(tick), x=left - 6, y=y(tick) + 4, text_anchor="end") for tick in y.ticks()),
            tag("path", d=f"M{left} {ceiling}V{floor}H{right}", class_="axis"),
            tag("text", x_label, x=(left + right) / 2, y=self.height - 6, text_anchor="middle", class_="name"),
            tag(
                "text",
                y_label,
                x=0,
                y=0,
                class_="name",
                text_anchor="middle",
                transform=f"translate(12 {_short((floor + ceiling) / 2)}) rotate(-90)",
            ),
        )


def figure(
    words: Words,
    name: str,
    title: str,
    caption: Child,
    plot: Plot,
    *drawn: Child,
    legend: Sequence[tuple[str, str]] = (),
    table: Html | None = None,
    controls: Html | None = None,
    wide: bool = False,
) -> Html:
    """A chart with its title, legend, controls, explanation and the same as a table; `legend` holds (class, text)."""
    return tag(
        "figure",
        tag("h3", title, id=f"{name}-title"),
        tag(
            "div",
            tag(
                "svg",
                *drawn,
                viewBox=f"0 0 {_short(plot.width)} {_short(plot.height)}",
                role="img",
                aria_labelledby=f"{name}-title",
                aria_describedby=f"{name}-caption",
                direction="ltr",
            ),
            class_="drawing",
            **({"tabindex": "0", "role": "group", "aria-labelledby": f"{name}-title"} if wide else {}),
        ),
        tag("ul", (_legend_entry(kind, text) for kind, text in legend), class_="legend") if legend else None,
        controls,
        tag("figcaption", caption, id=f"{name}-caption"),
        tag("details", tag("summary", words("as_a_table")), table, class_="as-table") if table is not None else None,
        id=name,
        class_="chart wide" if wide else "chart",
    )


def simple_table(caption: str, head: Sequence[Child], rows: Iterable[Sequence[Child]]) -> Html:
    """A table whose first column heads the rows."""
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", tag("tr", (tag("th", cell(name), scope="col") for name in head))),
            tag(
                "tbody",
                (
                    tag("tr", tag("th", cell(row[0]), scope="row"), (tag("td", cell(value)) for value in row[1:]))
                    for row in rows
                ),
            ),
        ),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=caption,
    )


def points(pairs: Iterable[tuple[float, float]]) -> str:
    """Positions as SVG writes them."""
    return " ".join(f"{_short(x)},{_short(y)}" for x, y in pairs)


def clip(name: str, plot: Plot) -> Html:
    """What keeps marks inside the plot's area; marks refer to it by `url(#NAME)`."""
    left, right = plot.across
    floor, ceiling = plot.up
    area = tag("rect", x=left, y=ceiling - 4, width=right - left + 6, height=floor - ceiling + 5)
    return tag("defs", tag("clipPath", area, id=name))


def tick_label(value: float) -> str:
    """A tick for people: no trailing zeros, thousands as k."""
    if abs(value) >= 10_000:
        return f"{value / 1000:.4g}k"
    return f"{value:.4g}"


def _legend_entry(kind: str, text: str) -> Html:
    swatch = tag(
        "svg",
        _swatch(kind),
        viewBox="0 0 24 12",
        width="24",
        height="12",
        aria_hidden="true",
    )
    return tag("li", swatch, text)


def _swatch(kind: str) -> Html:
    if kind in ("safe", "band"):
        return tag("rect", x=1, y=1, width=22, height=10, class_=kind)
    if kind.startswith("dot"):
        return tag("circle", cx=12, cy=6, r="4.5", class_=kind)
    if kind.startswith("mark-"):
        return mark(kind.removeprefix("mark-"), 12, 6)
    return tag("path", d="M1 6H23", class_=f"line {kind}")


def mark(kind: str, x: float, y: float, extra: str = "") -> Html:
    """How a trial ended, as a mark: finished, stopped, diverged, failed, budget, running; or best, default."""
    classes = f"end {kind} {extra}".strip()
    shapes = {
        "stopped": f"M{_short(x)} {_short(y - 4)}v8",
        "diverged": f"M{_short(x - 3.5)} {_short(y - 3.5)}l7 7m0 -7l-7 7",
        "failed": f"M{_short(x)} {_short(y - 4)}l4 7h-8z",
        "budget": f"M{_short(x - 3)} {_short(y - 3)}h6v6h-6z",
        "default": f"M{_short(x)} {_short(y - 5.5)}l5.5 5.5l-5.5 5.5l-5.5 -5.5z",
        "best": f"M{_short(x)} {_short(y - 6.5)}l1.9 4.1l4.5 .5l-3.4 3l1 4.4l-4 -2.2l-4 2.2l1 -4.4l-3.4 -3l4.5 -.5z",
    }
    if kind in shapes:
        return tag("path", d=shapes[kind], class_=classes)
    return tag("circle", cx=x, cy=y, r="2.5", class_=classes)


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * one for one in STEPS if power * one >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(place * step, 12) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = [digit * 10.0**power for power in decades for digit in digits]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= most + 1:
            break
    else:
        inside = inside[:: -(-len(inside) // most)]
    return inside if len(inside) >= 3 else _linear_ticks(low, high, most)
