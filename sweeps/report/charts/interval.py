"""The verdict's interval on a line, beside no difference and the margin that counts as none."""

from __future__ import annotations

import math

from sweeps.confirm.verdict import Verdict
from sweeps.report.charts.plot import Scale, tick_label
from sweeps.report.html import Html, tag
from sweeps.report.words import Words

WIDTH, HEIGHT = 300.0, 66.0


def seed_differences(verdict: Verdict) -> list[float]:
    """The finalist's difference on each judged seed that both ended, in per cent of the default's objective there."""
    judged = verdict.pairs[: verdict.look.seeds if verdict.look else 0]
    found = [100 * (pair.finalist / pair.default - 1) for pair in judged if pair.default]
    return [one for one in found if math.isfinite(one)]


def interval_picture(verdict: Verdict, words: Words) -> Html | None:
    """Difference and interval in per cent of the default's objective; None where they are not known or not finite."""
    if verdict.difference_percent is None or verdict.interval_percent is None:
        return None
    low, high = verdict.interval_percent
    if not all(map(math.isfinite, (low, high, verdict.difference_percent))):
        return None
    margin = verdict.margin_percent
    seeds = seed_differences(verdict)
    reach = 1.15 * max(abs(low), abs(high), 2 * margin, *map(abs, seeds))
    x = Scale(-reach, reach, 8.0, WIDTH - 8.0)
    middle = 22.0
    whiskers = f"M{x(low):.1f} {middle}H{x(high):.1f}M{x(low):.1f} 17v10M{x(high):.1f} 17v10"
    return tag(
        "svg",
        tag("rect", x=x(-margin), y=6, width=x(margin) - x(-margin), height=32, class_="margin"),
        tag("path", d=f"M{x(0.0):.1f} 4V40", class_="axis"),
        tag("path", d=whiskers, class_="line best"),
        tag("circle", cx=x(verdict.difference_percent), cy=middle, r="4.5", class_="dot best"),
        (tag("circle", cx=x(seed), cy=34, r="2.5", class_="seed") for seed in seeds),
        (
            tag("text", f"{tick_label(tick)} %", x=x(tick), y=50, text_anchor="middle")
            for tick in x.ticks(5)
            if x(tick) > 16 and x(tick) < WIDTH - 16
        ),
        tag("text", words.label(words("lower_is_better")), x=8, y=63, class_="guide"),
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
        role="img",
        direction="ltr",
        class_="interval-picture",
        aria_label=words(
            "interval_picture",
            difference=f"{verdict.difference_percent:+.1f}",
            low=f"{low:+.1f}",
            high=f"{high:+.1f}",
            margin=f"{margin:g}",
        ),
    )
