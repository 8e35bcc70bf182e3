"""Finalist and default on the test split, a row for each seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.confirm.confirmation import judged_runs
from sweeps.confirm.learning_curve import learning_curve
from sweeps.report.charts.plot import Plot, Scale, figure, mark, scale, simple_table
from sweeps.report.data import RunData
from sweeps.report.html import Html, tag
from sweeps.report.trial_marks import group
from sweeps.report.words import Words
from sweeps.trials.record import TrialRecord

ROW = 30.0


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
    def percent(self) -> float:
        """The finalist's difference in per cent of the default's; NaN where either is missing."""
        finalist, default = self.ends
        return 100 * (finalist / default - 1) if default else math.nan


def pairs_chart(data: RunData, words: Words) -> Html | None:
    """None where no judged run has ended yet."""
    trial_id, ours, theirs = judged_runs(data.records)
    pairs = [Pair(seed, ours.get(seed), theirs.get(seed)) for seed in dict.fromkeys([*theirs, *ours])]
    ends = [end for pair in pairs for end in pair.ends if math.isfinite(end)]
    if not ends:
        return None
    plot = Plot(width=460, height=70 + ROW * len(pairs), left=60)
    x = scale(ends, *plot.across, pad=0.08)
    finalist = words("finalist_is", trial=trial_id or "")
    return figure(
        words,
        "pairs",
        words("chart_pairs"),
        words("chart_pairs_caption"),
        plot,
        _axes(words, plot, x),
        (_row(data, words, plot, pair, x, place) for place, pair in enumerate(pairs)),
        legend=[("mark-best", finalist), ("mark-default", words("kind_default"))],
        table=_table(words, pairs, finalist),
    )


def _row(data: RunData, words: Words, plot: Plot, pair: Pair, x: Scale, place: int) -> Html:
    up = plot.top + (place + 0.5) * ROW
    finalist, default = pair.ends
    both = math.isfinite(finalist) and math.isfinite(default)
    drawn = [(pair.default, default, "default"), (pair.finalist, finalist, "best")]
    return tag(
        "g",
        tag("text", str(pair.seed), x=plot.left - 8, y=up + 4, text_anchor="end"),
        tag("path", d=f"M{x(default):.1f} {up:.1f}H{x(finalist):.1f}", class_="line interval") if both else None,
        (
            group(data, words, record, tag("circle", cx=x(end), cy=up, r="7", class_="target"), mark(kind, x(end), up))
            for record, end, kind in drawn
            if record is not None and math.isfinite(end)
        ),
    )


def _axes(words: Words, plot: Plot, x: Scale) -> Html:
    (left, right), (floor, ceiling) = plot.across, plot.up
    ticks = x.ticks(5)
    name = words.label(words("objective_on_test"))
    return tag(
        "g",
        (tag("path", d=f"M{x(tick):.1f} {floor}V{ceiling}", class_="grid") for tick in ticks),
        (tag("text", f"{tick:.4g}", x=x(tick), y=floor + 15, text_anchor="middle") for tick in ticks),
        tag("path", d=f"M{left} {floor}H{right}", class_="axis"),
        tag("text", name, x=(left + right) / 2, y=plot.height - 6, text_anchor="middle", class_="name"),
        tag("text", words.label(words("seed")), x=left - 8, y=floor + 15, text_anchor="end", class_="name"),
    )


def _table(words: Words, pairs: Sequence[Pair], finalist: str) -> Html:
    rows = [[str(pair.seed), *map(_shown, reversed(pair.ends)), _percent(pair.percent)] for pair in pairs]
    return simple_table(
        words("chart_pairs"), [words("seed"), words("kind_default"), finalist, words("difference")], rows
    )


def _end(record: TrialRecord | None) -> float:
    return learning_curve(record).end if record is not None and record.status == "finished" else math.nan


def _shown(end: float) -> str:
    return f"{end:.4f}" if math.isfinite(end) else "–"


def _percent(value: float) -> str:
    return f"{value:+.1f} %" if math.isfinite(value) else "–"
