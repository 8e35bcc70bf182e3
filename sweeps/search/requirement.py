"""A condition that the best config must meet, on any metric that a trial reports: `text_use >= 0.05`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sweeps.common.errors import RequestError
from sweeps.trials.objective import number

CONDITION = re.compile(r"\s*([A-Za-z_][\w/.-]*)\s*(>=|<=|>|<)\s*(\S+)\s*")


@dataclass(frozen=True)
class Requirement:
    """`metric` compared with a number."""

    metric: str
    comparison: str
    threshold: float

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.threshold:g}"

    def value(self, report: Mapping[str, object]) -> float | None:
        """The metric of a report; None where it is missing or not finite."""
        return number(report.get(self.metric))

    def margin(self, report: Mapping[str, object]) -> float | None:
        """How far the metric is on the right side of the threshold, negative on the wrong one; None without it."""
        value = self.value(report)
        if value is None:
            return None
        return value - self.threshold if self.comparison in (">=", ">") else self.threshold - value

    def met(self, report: Mapping[str, object]) -> bool:
        """Whether a report meets it; one without the metric does not."""
        margin = self.margin(report)
        return margin is not None and (margin > 0 or (margin == 0 and self.comparison in (">=", "<=")))


def requirement_from_text(text: str) -> Requirement:
    """A requirement from `METRIC >= NUMBER`; RequestError for anything else."""
    found = CONDITION.fullmatch(text)
    try:
        threshold = float(found[3]) if found else math.nan
    except ValueError:
        threshold = math.nan
    if found is None or not math.isfinite(threshold):
        raise RequestError(
            f"--require {' '.join(text.split())!r}: expected METRIC >= NUMBER (or >, <=, <), such as 'text_use >= 0.05'"
        )
    return Requirement(found[1], found[2], threshold)
