"""A condition that the best config must meet, on any metric that a trial reports: `text_use >= 0.05`."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass

from simpleeval import InvalidExpression, SimpleEval

from sweeps.common.errors import RequestError

LONGEST = 200  # characters
COMPARISONS: dict[type[ast.cmpop], str] = {ast.GtE: ">=", ast.Gt: ">", ast.LtE: "<=", ast.Lt: "<"}


@dataclass(frozen=True)
class Requirement:
    """`metric`, compared with a number. A name like `val/kl` is one metric."""

    metric: str
    comparison: str
    threshold: float

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.threshold:g}"

    def margin(self, report: Mapping[str, object]) -> float | None:
        """How far a report's metric is on the right side of the threshold, below 0 on the wrong one; None without it."""
        value = report.get(self.metric)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return None
        return value - self.threshold if self.comparison in (">=", ">") else self.threshold - value

    def met(self, report: Mapping[str, object]) -> bool:
        """Whether a report meets it; one without the metric does not."""
        margin = self.margin(report)
        return margin is not None and (margin > 0 or (margin == 0 and self.comparison in (">=", "<=")))


def requirement_from_text(text: str) -> Requirement:
    """A requirement from `METRIC >= NUMBER`; RequestError for anything else."""
    wrong = RequestError(f"--require {text!r}: expected METRIC >= NUMBER (or >, <=, <), such as 'text_use >= 0.05'")
    if len(text) > LONGEST:
        raise wrong
    try:
        tree = ast.parse(text.strip().replace("/", "__over__"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise wrong from None
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or type(tree.ops[0]) not in COMPARISONS:
        raise wrong
    if not isinstance(tree.left, ast.Name):
        raise wrong
    try:
        threshold = SimpleEval(functions={}, names={}).eval(ast.unparse(tree.comparators[0]).replace("__over__", "/"))
    except (InvalidExpression, ArithmeticError, SyntaxError, TypeError, ValueError):
        raise wrong from None
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not math.isfinite(threshold):
        raise wrong
    return Requirement(tree.left.id.replace("__over__", "/"), COMPARISONS[type(tree.ops[0])], float(threshold))
