"""The confirmation as pictures: the verdict's looks, and finalist and default seed by seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from sweeps.confirm.confirmation import judged_runs
from sweeps.confirm.learning_curve import learning_curve
from sweeps.confirm.verdict import Verdict
from sweeps.report.charts.looks import looks_picture
from sweeps.report.charts.svg import Chart, Plot, Scale, label, mark, path, scale, shape, together
from sweeps.report.data import RunData
from sweeps.report.table import simple_table
from sweeps.report.text import Words
from sweeps.report.trial_marks import group
from sweeps.trials.record import TrialRecord

ROW = 30.0


def interval_picture(verdict: Verdict, words: Words) -> Markup | None:
    """The verdict's looks in per cent of the default's objective, or in its unit where there are no per cents."""
    is_percent = verdict.difference_percent is not None
    seeds = [_difference(pair.finalist, pair.default, is_percent) for pair in verdict.judged]
    return looks_picture(
        words,
        verdict.sequence,
        [seed for seed in seeds if math.isfinite(seed)],
        verdict.margin_percent if is_percent else 0.0,
        unit=" %" if is_percent else "",
        side="right_is_better" if verdict.mode == "max" else "left_is_better",
    )


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
