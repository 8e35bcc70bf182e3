"""What charts are drawn with: shapes, scales, the plot's area with its axes, and the chart that the page frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from sweeps.report.table import Table

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def shape(name: str, /, *children: object, **attributes: object) -> Markup:
    """An SVG element; `class_` becomes class and `data_trial` data-trial, None and False leave an attribute out."""
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(short(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Markup(f"<{name}{written}>{together(children)}</{name}>")  # each part is escaped


def together(children: Iterable[object]) -> Markup:
    """Shapes and texts one after the other; None is left out, iterables are joined."""
    parts = (
        together(child) if isinstance(child, Iterable) and not isinstance(child, str) else escape(short(child))
        for child in children
        if child is not None
    )
    return Markup("").join(parts)


def short(value: object) -> object:
    """A number with one decimal at most; anything else as it is."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value


def path(*steps: object, **attributes: object) -> Markup:
    """A path from letters and numbers: `path("M", x, y, "H", right)`."""
    return shape("path", d=" ".join(str(short(step)) for step in steps), **attributes)


def label(text: object, x: float, y: float, anchor: str = "start", class_: str | None = None) -> Markup:
    """A text at a place."""
    return shape("text", text, x=x, y=y, text_anchor=anchor, class_=class_)


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

    def x_axis(self, x: Scale, name: str, ticks: Sequence[float], form: str | None = None) -> Markup:
        """Grid lines, tick labels and the name of the x axis."""
        floor, ceiling = self.up
        grid = (path("M", x(tick), floor, "V", ceiling, class_="grid") for tick in ticks)
        texts = (tick_label(tick) if form is None else format(tick, form) for tick in ticks)
        labels = (label(text, x(tick), floor + 15, "middle") for tick, text in zip(ticks, texts, strict=True))
        return shape("g", grid, labels, label(name, sum(self.across) / 2, self.height - 6, "middle", "name"))

    def axes(self, x: Scale, y: Scale, x_name: str, y_name: str, *, whole: bool = False) -> Markup:
        """Grid lines, tick labels and names of both axes; `whole`: x counts."""
        (left, right), (floor, ceiling) = self.across, self.up
        turned = f"translate(12 {short((floor + ceiling) / 2)}) rotate(-90)"
        return shape(
            "g",
            self.x_axis(x, x_name, [tick for tick in x.ticks() if not whole or tick == int(tick)]),
            (path("M", left, y(tick), "H", right, class_="grid") for tick in y.ticks()),
            (label(tick_label(tick), left - 6, y(tick) + 4, "end") for tick in y.ticks()),
            path("M", left, ceiling, "V", floor, "H", right, class_="axis"),
            shape("text", y_name, x=0, y=0, class_="name", text_anchor="middle", transform=turned),
        )

    def clip(self, name: str) -> Markup:
        """What keeps lines inside the area; they refer to it by `url(#NAME)`."""
        (left, right), (floor, ceiling) = self.across, self.up
        area = shape("rect", x=left, y=ceiling - 4, width=right - left + 6, height=floor - ceiling + 5)
        return shape("defs", shape("clipPath", area, id=name))


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with what the page puts around it; `legend` holds (class, text)."""

    name: str
    title: str
    caption: str
    plot: Plot
    drawing: Markup
    legend: Sequence[tuple[str, str]] = ()
    table: Table | None = None
    wide: bool = False


def points(pairs: Iterable[tuple[float, float]]) -> str:
    """Positions as SVG writes them."""
    return " ".join(f"{short(x)},{short(y)}" for x, y in pairs)


def tick_label(value: float) -> str:
    """A tick for people: no trailing zeros, thousands as k."""
    return f"{value / 1000:.4g}k" if abs(value) >= 10_000 else f"{value:.4g}"


def swatch(kind: str) -> Markup:
    """The sample of a class in a legend."""
    if kind in ("safe", "band"):
        return shape("rect", x=1, y=1, width=22, height=10, class_=kind)
    if kind.startswith("dot"):
        return shape("circle", cx=12, cy=6, r="4.5", class_=kind)
    if kind.startswith("mark-"):
        return mark(kind.removeprefix("mark-"), 12, 6)
    return path("M1 6H23", class_=f"line {kind}")


MARKS = {
    "stopped": (0, -4, "v8"),
    "diverged": (-3.5, -3.5, "l7 7m0 -7l-7 7"),
    "failed": (0, -4, "l4 7h-8z"),
    "budget": (-3, -3, "h6v6h-6z"),
    "default": (0, -5.5, "l5.5 5.5l-5.5 5.5l-5.5 -5.5z"),
    "best": (0, -6.5, "l1.9 4.1l4.5 .5l-3.4 3l1 4.4l-4 -2.2l-4 2.2l1 -4.4l-3.4 -3l4.5 -.5z"),
}


def mark(kind: str, x: float, y: float) -> Markup:
    """How a trial ended, as a mark (finished, running: a dot), or best and default."""
    if kind not in MARKS:
        return shape("circle", cx=x, cy=y, r="2.5", class_=f"end {kind}")
    across, up, rest = MARKS[kind]
    return path("M", float(x + across), float(y + up), rest, class_=f"end {kind}")


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
