"""Compares what two runs of a program logged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sweeps.external.command import is_rate

SAME = 1e-6
"""Relative difference up to which two values are the same: eight times what float32 (TensorBoard's) resolves"""
PRINTED_DECIMALS = 6  # values with more were not rounded for people


def raw_moves(first: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]], noisy: set[str]) -> bool:
    """Whether a tag that begins with the same value goes another way: it holds no weight, so training does differ."""
    for tag, values in other.items():
        known = first.get(tag, ())
        if tag in noisy or is_rate(tag.rpartition("/")[2]) or not known or not values:
            continue
        if relative(known[0], values[0]) <= SAME and moved(known, values):
            return True
    return False


def moved(known: Sequence[float], values: Sequence[float]) -> bool:
    """Whether two runs logged different values, as far as both went."""
    return any(relative(a, b) > SAME for a, b in zip(known, values, strict=False))


def resolution(values: Sequence[float]) -> float:
    """Half a unit of the last digit that any of the values has, relative to the smallest; 0 for full precision."""
    texts = [repr(value) for value in values if math.isfinite(value) and value]
    if not texts or any("e" in text for text in texts):
        return 0.0
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return 0.0 if decimals > PRINTED_DECIMALS else 0.5 * 10.0**-decimals / min(abs(float(text)) for text in texts)


def same(known: Sequence[float], values: Sequence[float]) -> bool:
    """Whether one run logged what the other did, as far as both went."""
    return not moved(known, values)


def proportional(known: Sequence[float], values: Sequence[float]) -> bool:
    """Whether the values are the known ones times one factor."""
    pairs = [(a, b) for a, b in zip(known, values, strict=False) if a]
    return not pairs or all(relative(b / a, pairs[0][1] / pairs[0][0]) <= SAME for a, b in pairs)


def relative(a: float, b: float) -> float:
    """The relative difference; 0 for two NaN, infinite where one of them is not finite."""
    if math.isnan(a) and math.isnan(b):
        return 0.0
    if not (math.isfinite(a) and math.isfinite(b)):
        return 0.0 if a == b else math.inf
    return abs(a - b) / max(abs(a), abs(b), 1e-12)
