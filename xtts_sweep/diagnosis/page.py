"""A diagnosis as one self-contained HTML page: findings, curves with their events, shares of the terms, checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment
from markupsafe import Markup, escape

from messages import Texts
from sweeps.common.errors import RequestError
from sweeps.report.charts.svg import Plot, mark, path, points, scale, shape, together
from xtts.diagnostics.logged_curve import Curve
from xtts.diagnostics.logged_run import LoggedRun
from xtts_sweep.diagnosis.diagnosis import Diagnosis

PLOT = Plot(width=460, height=280)
MOST_DRAWN = 600
"""Points of a line; a longer curve is drawn by the means of stretches"""
LOG_SPAN = 20.0
MOST_CHECKPOINTS = 100


def write_page(found: Diagnosis, file: Path, lang: str) -> None:
    """Write the page. Raises RequestError where the file cannot be written."""
    environment = Environment(autoescape=True)
    environment.filters["isolated"] = isolated
    template = environment.from_string(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    text = template.render(
        found=found,
        lang=lang,
        t=Texts("diagnose", lang),
        names=", ".join(f"{name} = {tag}" for name, tag in found.mapped.items()) or "-",
        charts=_charts(found),
        checkpoints=sorted(found.run.checkpoints, key=lambda one: (one.step or 0, one.path))[:MOST_CHECKPOINTS],
    )
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RequestError(f"-o {file}: cannot be written: {error.strerror}") from error


def isolated(text: str) -> Markup:
    """The text with options and code kept from left to right, whatever is around them."""
    return Markup(re.sub(r"`[^`]+`|--[\w-]+( [\w/.]+=\w+)?", r'<bdi dir="ltr">\g<0></bdi>', str(escape(text))))


def _charts(found: Diagnosis) -> list[tuple[str, list[str], Markup, Plot]]:
    run = found.run
    terms = sorted({name.partition("/")[2] for name in run.curves if "/" in name} - {"loss"})
    groups = [[f"train/{term}", f"val/{term}"] for term in ("loss", *terms)]
    groups += [["grad_norm"], ["learning_rate"]]
    charts = []
    for names in groups:
        curves = {name: curve for name in names if (curve := run.raw(name)) is not None and len(curve) > 1}
        if curves:
            drawing = _drawing(found, curves, names[0].partition("/")[2] or names[0])
            charts.append((names[0], list(curves), drawing, PLOT))
    shares = _shares(run)
    if len(shares) > 1:
        charts.append(("shares", list(shares), _drawing(found, shares, "share of the weighted loss"), PLOT))
    return charts


def _drawing(found: Diagnosis, curves: Mapping[str, Curve], name: str) -> Markup:
    lines = {one: _thinned(curve) for one, curve in curves.items()}
    values = [value for line in lines.values() for _, value in line]
    is_log = min(values) > 0 and max(values) / min(values) > LOG_SPAN
    x = scale([step for line in lines.values() for step, _ in line], *PLOT.across, pad=0.0)
    y = scale(values, *PLOT.up, log=is_log)
    floor, ceiling = PLOT.up
    steps = [step for step in _events(curves) if x.low <= step <= x.high]
    events = [path("M", x(step), floor, "V", ceiling, class_="event") for step in steps]
    drawn = [
        shape("polyline", points=points((x(step), y(value)) for step, value in line), class_=f"c{place % 6}")
        for place, line in enumerate(lines.values())
    ]
    best = found.best
    star = mark("best", x(best.step), y(best.value)) if best is not None and best.name in curves else None
    return together([PLOT.axes(x, y, "epoch" if found.folder is None else "step", name), events, drawn, star])


def _events(curves: Mapping[str, Curve]) -> Sequence[int]:
    """Steps of the first values that are not finite, and of resumes."""
    bad = [curve.bad_steps[0] for curve in curves.values() if curve.bad_steps]
    return sorted({*bad, *(first for curve in curves.values() for _, first in curve.resumes)})


def _thinned(curve: Curve) -> list[tuple[float, float]]:
    parts = np.array_split(np.arange(len(curve)), min(MOST_DRAWN, len(curve)))
    return [(float(curve.steps[part].mean()), float(curve.values[part].mean())) for part in parts]


def _shares(run: LoggedRun) -> dict[str, Curve]:
    """Each weighted training term's share of their sum, over the steps that all were logged at."""
    terms = {
        name.partition("/")[2]: curve
        for name, curve in run.curves.items()
        if name.startswith("train/") and name not in ("train/loss", "train/discriminator") and len(curve) > 1
    }
    if len(terms) < 2:
        return {}
    first = next(iter(terms.values()))
    sizes = {}
    for term, curve in terms.items():
        weight = 1.0 if run.is_weighted else run.weights.get(term, 1.0)
        sizes[term] = np.abs(weight * np.interp(first.steps, curve.steps, curve.values))
    total = np.maximum(sum(sizes.values(), np.zeros(len(first))), 1e-12)
    return {
        term: Curve(first.steps, size / total, size / total, size / total, len(first)) for term, size in sizes.items()
    }
