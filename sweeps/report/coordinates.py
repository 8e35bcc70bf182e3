"""The coordinates that configs are drawn in, and the region of them that the limits allow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from sweeps.report.extras import Coordinate
from sweeps.run.config import SweepConfig
from sweeps.space.limits import Limits
from sweeps.space.parameter import Parameter
from sweeps.trials.objective import number


@dataclass(frozen=True, slots=True)
class Axis:
    """One coordinate of a config: a parameter, or a ratio of two. `safe` is what the limits allow of it."""

    name: str
    formula: str
    top: str
    bottom: str | None
    log: bool
    safe: tuple[float, float] | None

    def value(self, params: Mapping[str, object]) -> float | None:
        """A config's value on the axis; None where it has no finite number (above 0, if logarithmic)."""
        top = number(params.get(self.top))
        bottom = 1.0 if self.bottom is None else number(params.get(self.bottom))
        if top is None or not bottom:
            return None
        value = top / bottom
        return value if math.isfinite(value) and (value > 0 or not self.log) else None


def acting_axes(request: SweepConfig, coordinates: Sequence[Coordinate]) -> tuple[Axis, ...]:
    """The ratios that act: the given ones whose parameters the trials have, else those that the space searches."""
    ratios = request.space.ratios
    if not coordinates and ratios is not None:
        coordinates = [Coordinate(name, top, bottom) for name, (top, bottom) in ratios.pairs.items()]
    known = {*request.columns, *request.shared_params}
    searched = set(request.columns)
    return tuple(
        Axis(
            name=one.name,
            formula=f"{one.numerator} / {one.denominator}",
            top=one.numerator,
            bottom=one.denominator,
            log=True,
            safe=_safe_ratio(request.limits, one),
        )
        for one in coordinates
        if {one.numerator, one.denominator} <= known and {one.numerator, one.denominator} & searched
    )


def searched_axes(request: SweepConfig) -> tuple[Axis, ...]:
    """The trainer's parameters that the search sets to numbers, in the space's order."""
    by_name = {parameter.name: parameter for parameter in request.space.parameters}
    return tuple(
        Axis(name, "", name, None, _is_log(by_name.get(name), request.limits, name), _safe(request.limits, name))
        for name in request.space.hyperparameters
        if name not in by_name or by_name[name].searched
    )


def safe_region(limits: Limits, x: Axis, y: Axis) -> list[tuple[float, float]]:
    """The corners, in order, of all (x, y) that some config inside the limits has; empty where a limit is missing.

    In logarithms the limits are a box and the coordinates linear, so the region is the convex hull of its corners.
    """
    from scipy.spatial import ConvexHull, QhullError

    names = sorted({name for name in (x.top, x.bottom, y.top, y.bottom) if name is not None})
    if not (x.log and y.log) or any(name not in limits.by_name or limits.by_name[name].min <= 0 for name in names):
        return []
    corners = set()
    for ends in product(*((limits.by_name[name].min, limits.by_name[name].max) for name in names)):
        params = dict(zip(names, ends, strict=True))
        here = x.value(params), y.value(params)
        if here[0] is not None and here[1] is not None:
            corners.add((math.log(here[0]), math.log(here[1])))
    points = sorted(corners)
    try:
        around = ConvexHull(points).vertices
    except (QhullError, ValueError):  # fewer than three corners, or all on a line
        return []
    return [(math.exp(points[at][0]), math.exp(points[at][1])) for at in around]


def _safe(limits: Limits, name: str) -> tuple[float, float] | None:
    limit = limits.by_name.get(name)
    return None if limit is None else (limit.min, limit.max)


def _safe_ratio(limits: Limits, one: Coordinate) -> tuple[float, float] | None:
    top, bottom = _safe(limits, one.numerator), _safe(limits, one.denominator)
    if top is None or bottom is None or min(top[0], bottom[0]) <= 0:
        return None
    return top[0] / bottom[1], top[1] / bottom[0]


def _is_log(parameter: Parameter | None, limits: Limits, name: str) -> bool:
    if parameter is not None:
        return parameter.logarithmic
    limit = limits.by_name.get(name)  # a hyperparameter that ratios or a list of controls set
    return limit is not None and limit.min > 0
