"""Cuts what a program logs into epochs: the n-th value of one tag closes epoch n, other tags are joined by step.

Where a tag has no value at that step, its newest value since the epoch before counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeps.external.expressions import Expression
from sweeps.external.readers import Point


@dataclass(frozen=True)
class Epoch:
    """The values that belong to an epoch, the tags that have none in it, and its step."""

    values: Mapping[str, float]
    missing: Sequence[str]
    step: int | None


def closed_epochs(points: Sequence[Point], tag: str) -> int:
    """How many epochs are closed."""
    return sum(point.tag == tag for point in points)


def epoch_of(
    points: Sequence[Point],
    number: int,
    tag: str,
    expressions: Mapping[str, Expression],
    params: Mapping[str, object],
) -> Epoch | None:
    """Epoch `number` (from 1), or None while it is not closed. What comes later at the same step is awaited by the
    caller, as long as something is `missing`."""
    ends = [at for at, point in enumerate(points) if point.tag == tag]
    if len(ends) < number:
        return None
    begin = ends[number - 2] + 1 if number > 1 else 0
    end = ends[number - 1]
    step = points[end].step
    next_end = ends[number] if len(ends) > number else len(points)
    known = {point.tag for point in points} | set(params)
    values = numbers(params)
    missing = []
    for name in dict.fromkeys(name for expression in expressions.values() for name in expression.needs(known)):
        if name in params:
            continue
        if name == tag:
            values[name] = points[end].value
            continue
        found = _value(points, name, begin, end, next_end, step)
        if found is None:
            missing.append(name)
        else:
            values[name] = found
    return Epoch(values, missing, step)


def numbers(params: Mapping[str, object]) -> dict[str, float]:
    """The parameters that arithmetic can use."""
    return {
        name: float(value)
        for name, value in params.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _value(points: Sequence[Point], name: str, begin: int, end: int, next_end: int, step: int | None) -> float | None:
    at_step = None
    if step is not None:
        # Of equals the newest up to the end counts, or what was written right behind it.
        at_step = next((p.value for p in reversed(points[begin : end + 1]) if p.tag == name and p.step == step), None)
        if at_step is None:
            at_step = next((p.value for p in points[end + 1 : next_end] if p.tag == name and p.step == step), None)
    if at_step is not None:
        return at_step
    return next((point.value for point in reversed(points[begin : end + 1]) if point.tag == name), None)
