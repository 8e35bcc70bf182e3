"""The objective of a report, and its direction: costs are objectives with the sign that makes less better."""

from __future__ import annotations

import math
from collections.abc import Mapping

METRIC = "objective"
MODES = ("min", "max")
HUGE = 1e100  # from here on a value says only that training blew up, and its square may be infinite


def number(value: object) -> float | None:
    """A finite number as a float, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def sign_of(mode: str) -> float:
    """What turns an objective into a cost, and a cost back into an objective: 1 to minimise, -1 to maximise."""
    return -1.0 if mode == "max" else 1.0


def objective_of(report: Mapping[str, object]) -> float | None:
    """The objective of a report, or None where it is missing, not finite or huge."""
    value = report.get(METRIC)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < HUGE:
        return float(value)
    return None
