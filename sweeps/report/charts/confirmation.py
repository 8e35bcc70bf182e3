"""The confirmation as pictures: the verdict's looks, and finalist and default seed by seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from sweeps.confirm.confirmation_runs import judged_runs
from sweeps.confirm.learning_curve import learning_curve
from sweeps.confirm.verdict import LookResult, Verdict
from sweeps.report.charts.svg import Chart, Plot, Scale, label, mark, path, scale, shape, tick_label, together
from sweeps.report.data import RunData
from sweeps.report.table import simple_table
from sweeps.report.text import Words
from sweeps.report.trial_marks import group
from sweeps.trials.record import TrialRecord

ROW = 30.0
WIDTH, LOOK_ROW, LEFT = 300.0, 15.0, 30.0
MOST_TIMES_WIDER = 3.0
"""The scale holds intervals up to this many times the last one; wider ones, of few pairs, leave it at both sides."""


class Interval(NamedTuple):
    """The finite interval of a look."""

    pairs: int
    low: float
    mean: float
    high: float
    decision: str


def interval_picture(verdict: Verdict, words: Words) -> Markup | None:
    """How the interval narrowed: a row for each look, the last one strongest, over a dot for each seed's difference;
    None where no look has an interval.

    In per cent of the default's objective, or in its unit where there are no per cents.
    """
    is_percent = verdict.difference_percent is not None
    differences = (_difference(pair.finalist, pair.default, is_percent) for pair in verdict.judged)
    seeds = [seed for seed in differences if math.isfinite(seed)]
    known = [found for look in verdict.sequence if (found := _interval(look)) is not None]
    if not known:
        return None
    margin, unit = (verdict.margin_percent, " %") if is_percent else (0.0, "")
    last = known[-1]
    ends = [abs(end) for one in known for end in (one.low, one.high)]
    near = max(abs(last.low), abs(last.high), 2 * margin, *map(abs, seeds), 1e-9)
    reach = 1.15 * min(max([near, *ends]), MOST_TIMES_WIDER * near)
    x = Scale(-reach, reach, LEFT, WIDTH - 8.0)
    floor = 8 + LOOK_ROW * len(known) + 14
    shown = {"difference": f"{last.mean:+.1f}", "low": f"{last.low:+.1f}", "high": f"{last.high:+.1f}"}
    sequence = "; ".join(f"{one.pairs}: {one.low:+.1f}{unit} … {one.high:+.1f}{unit}" for one in known)
    side = "right_is_better" if verdict.mode == "max" else "left_is_better"
    return shape(
        "svg",
        shape("rect", x=x(-margin), y=6, width=x(margin) - x(-margin), height=floor - 4, class_="margin"),
        path("M", x(0.0), 4, "V", floor + 4, class_="axis"),
        (_look(one, x, 8 + LOOK_ROW * (place + 0.5), one is last) for place, one in enumerate(known)),
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


def _look(look: Interval, x: Scale, middle: float, is_last: bool) -> Markup:
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


def _interval(look: LookResult) -> Interval | None:
    if look.low is None or look.mean is None or look.high is None or not math.isfinite(look.high - look.low):
        return None
    return Interval(look.pairs, look.low, look.mean, look.high, look.decision)


def _difference(finalist: float, default: float, is_percent: bool) -> float:
    if not is_percent:
        return finalist - default
    return 100 * (finalist / default - 1) if default else math.nan


@dataclass(frozen=True, slots=True)
class Pair:
    """The two runs of one seed; a run that has not come to its end has no figure."""

    seed: int
    finalist: TrialRecord | None
    default: TrialRecord | None

    @property
    def ends(self) -> tuple[float, float]:
        """What finalist and default ended at; NaN where one did not."""
        return _end(self.finalist), _end(self.default)

    @property
    def row(self) -> list[str]:
        """Seed, default, finalist and difference for the table."""
        finalist, default = self.ends
        percent = 100 * (finalist / default - 1) if default else math.nan
        shown = [f"{end:.4f}" if math.isfinite(end) else "–" for end in (default, finalist)]
        return [str(self.seed), *shown, f"{percent:+.1f} %" if math.isfinite(percent) else "–"]


def pairs_chart(data: RunData, words: Words) -> Chart | None:
    """None where no judged run has ended yet."""
    trial_id, ours, theirs = judged_runs(data.records)
    pairs = [Pair(seed, ours.get(seed), theirs.get(seed)) for seed in dict.fromkeys([*theirs, *ours])]
    ends = [end for pair in pairs for end in pair.ends if math.isfinite(end)]
    if not ends:
        return None
    plot = Plot(width=460, height=70 + ROW * len(pairs), left=60)
    x = scale(ends, *plot.across, pad=0.08)
    finalist = words("finalist_is", trial=trial_id or "")
    (left, right), floor = plot.across, plot.up[0]
    axes = (
        plot.x_axis(x, words.label(words("objective_on_test")), x.ticks(5)),
        path("M", left, floor, "H", right, class_="axis"),
        label(words.label(words("seed")), left - 8, floor + 15, "end", "name"),
    )
    rows = (_row(data, words, pair, x, left, plot.top + (place + 0.5) * ROW) for place, pair in enumerate(pairs))
    head = [words("seed"), words("kind_default"), finalist, words("difference")]
    return Chart(
        "pairs",
        words("chart_pairs"),
        words("chart_pairs_caption"),
        plot,
        together([axes, rows]),
        legend=[("mark-best", finalist), ("mark-default", words("kind_default"))],
        table=simple_table(words("chart_pairs"), head, [pair.row for pair in pairs]),
    )


def _row(data: RunData, words: Words, pair: Pair, x: Scale, left: float, up: float) -> Markup:
    finalist, default = pair.ends
    both = math.isfinite(finalist) and math.isfinite(default)
    drawn = [(pair.default, default, "default"), (pair.finalist, finalist, "best")]
    return shape(
        "g",
        label(pair.seed, left - 8, up + 4, "end"),
        path("M", x(default), up, "H", x(finalist), class_="line interval") if both else None,
        (
            group(data, words, one, shape("circle", cx=x(end), cy=up, r="7", class_="target"), mark(kind, x(end), up))
            for one, end, kind in drawn
            if one is not None and math.isfinite(end)
        ),
    )


def _end(record: TrialRecord | None) -> float:
    return learning_curve(record).end if record is not None and record.status == "finished" else math.nan
