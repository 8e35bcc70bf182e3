"""Objectives of pairs of runs by seed."""

from __future__ import annotations

SHARED = (0.560, 0.571, 0.549, 0.566, 0.558, 0.553, 0.574, 0.562)


WOBBLE = (0.004, -0.003, -0.001, 0.002, -0.004, 0.001, 0.003, -0.002)


def seeds(values: list[float]) -> dict[int, float]:
    return {2001 + place: value for place, value in enumerate(values)}


DEFAULT = seeds(list(SHARED))


def finalist(gain: float, wobble: float = 1.0, count: int = 8) -> dict[int, float]:
    values = [base * (1 - gain) * (1 + wobble * off) for base, off in zip(SHARED, WOBBLE, strict=True)]
    return seeds(values[:count])
