"""What is minimised, and what counts as best: a value that is not finite never does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Best:
    """The best value of a trial and the epoch it was reached in."""

    value: float
    epoch: int


@dataclass(frozen=True)
class Objective:
    """A metric to minimise or to maximise."""

    metric: str = "objective"
    mode: str = "min"

    def better(self, value: float, than: float) -> bool:
        """Whether `value` beats `than`."""
        return value < than if self.mode == "min" else value > than

    def value(self, report: Mapping[str, object]) -> float | None:
        """The metric of a report, or None where it is missing or not finite."""
        value = report.get(self.metric)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        return None

    def best(self, reports: Iterable[Mapping[str, object]]) -> Best | None:
        """The best finite value with its epoch, the earliest of equals; None where there is none."""
        best: Best | None = None
        for report in reports:
            value, epoch = self.value(report), report.get("epoch")
            if value is not None and isinstance(epoch, int) and (best is None or self.better(value, best.value)):
                best = Best(value, epoch)
        return best


OBJECTIVE = Objective()
