"""Searching ratios of hyperparameters instead of themselves: what acts under AdamW, without ever leaving the limits.

Each ratio is numerator / denominator. A common factor of all of them is left free by the ratios; it is put as near
to its preferred value as the limits allow. In logarithms all of this is linear: the ratios for which some factor keeps
each inside its limits form a convex set, so a point outside is drawn towards the default until it is inside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sweeps.common.errors import RequestError
from sweeps.space.limits import Limits
from sweeps.space.parameter import significant

BISECTIONS = 40


@dataclass(frozen=True)
class Ratios:
    """Ratios by name as (numerator, denominator); the preferred value of `reference` fixes the common factor."""

    pairs: Mapping[str, tuple[str, str]]
    reference: str
    scale_value: float

    def __post_init__(self) -> None:
        reached = {self.reference}
        for _ in self.pairs:
            for top, bottom in self.pairs.values():
                if {top, bottom} & reached:
                    reached |= {top, bottom}
        hyperparameters = self.hyperparameters
        if len(hyperparameters) != len(self.pairs) + 1 or reached != set(hyperparameters):
            raise RequestError(
                f"ratios: {len(self.pairs)} ratios must tie {len(self.pairs) + 1} hyperparameters to {self.reference}, "
                f"each exactly once; they tie {', '.join(hyperparameters)}"
            )

    @property
    def hyperparameters(self) -> list[str]:
        """The trainer's parameters that the ratios stand for."""
        return sorted({hyperparameter for pair in self.pairs.values() for hyperparameter in pair} | {self.reference})

    def multiples(self, values: Mapping[str, float]) -> dict[str, float]:
        """Each hyperparameter as a multiple of the reference."""
        known = {self.reference: 1.0}
        while len(known) < len(self.hyperparameters):
            for name, (top, bottom) in self.pairs.items():
                if top in known and bottom not in known:
                    known[bottom] = known[top] / values[name]
                elif bottom in known and top not in known:
                    known[top] = known[bottom] * values[name]
        return known

    def scale_range(self, values: Mapping[str, float], limits: Limits) -> tuple[float, float]:
        """The least and the greatest scale that keep all inside their limits; empty where the first is greater."""
        low, high = 0.0, math.inf
        for hyperparameter, multiple in self.multiples(values).items():
            limit = limits.by_name.get(hyperparameter)
            if limit is not None:
                low, high = max(low, limit.min / multiple), min(high, limit.max / multiple)
        return low, high

    def feasible(self, values: Mapping[str, float], limits: Limits) -> bool:
        """Whether some common factor keeps every hyperparameter inside its limits."""
        low, high = self.scale_range(values, limits)
        return low <= high

    def inside(self, values: Mapping[str, float], default: Mapping[str, float], limits: Limits) -> dict[str, float]:
        """`values`, or the last feasible point on the (logarithmic) line from them to `default`."""
        if self.feasible(values, limits):
            return dict(values)
        outside, within = 0.0, 1.0
        for _ in range(BISECTIONS):
            middle = (outside + within) / 2
            if self.feasible(_between(values, default, middle), limits):
                within = middle
            else:
                outside = middle
        return _between(values, default, within)

    def to_hyperparameters(self, values: Mapping[str, float], limits: Limits) -> dict[str, float]:
        """The trainer's hyperparameters for feasible ratios, readable and inside their limits."""
        low, high = self.scale_range(values, limits)
        scale = min(max(self.scale_value, low), high)
        hyperparameters = {}
        for hyperparameter, multiple in self.multiples(values).items():
            limit = limits.by_name.get(hyperparameter)
            value = significant(scale * multiple)
            hyperparameters[hyperparameter] = value if limit is None else min(max(value, limit.min), limit.max)
        return hyperparameters


def _between(start: Mapping[str, float], end: Mapping[str, float], share: float) -> dict[str, float]:
    return {name: start[name] ** (1 - share) * end[name] ** share for name in start}
