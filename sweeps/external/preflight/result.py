"""What a preflight found."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

from sweeps.common.budget import duration


@dataclass
class Preflight:
    """What was found; `refusals` are reasons not to start a sweep."""

    trainer: str
    deterministic: bool
    weight_free: bool
    acts: dict[str, bool]
    epoch_seconds: float
    start_seconds: float | None = None
    disk_bytes: int = 0
    seed_acts: bool = True
    weight_free_by: str = "frozen"
    """frozen: seen with learning off; size: judged by how the objective grows with the weights; none: no weights"""
    objectives: list[float | None] = field(default_factory=list)
    """Of the default's first epochs; None for one that is not finite, which JSON cannot hold"""
    difference: float = 0.0
    """The largest relative difference of two starts with one seed"""
    metrics: str = ""
    warnings: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def lines(self) -> list[str]:
        """A table for people."""
        weights = {
            "frozen": "with learning off, the objective does not move with the weights",
            "size": "judged by its size after an epoch",
            "none": "no loss weight is searched",
        }[self.weight_free_by]
        change = ""
        first, second = [*self.objectives, None, None][:2]
        if first and second is not None:
            change = f", {100 * (second / first - 1) * math.copysign(1, first):+.2f} % from epoch 1 to 2"
        rows = [
            ("trainer", self.trainer),
            ("metrics", self.metrics),
            ("objective", "none" if first is None else f"{first:.6g}{change}"),
            ("deterministic", _yes(self.deterministic, f"two starts with one seed differ by {self.difference:.2g}")),
            ("seed", "acts" if self.seed_acts else "NO: another seed gives the same values"),
            ("weight-free", weights if self.weight_free else "NO: the objective moves with the loss weights"),
            *((name, "acts" if acts else "NO: does nothing in this trainer") for name, acts in self.acts.items()),
            ("epoch", duration(self.epoch_seconds) if self.epoch_seconds >= 10 else f"{self.epoch_seconds:.1f} s"),
            ("disk", f"{self.disk_bytes / 1e6:.1f} MB a trial"),
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        return [
            *lines,
            *(f"warning: {warning}" for warning in self.warnings),
            *(f"refused: {r}" for r in self.refusals),
        ]


def _yes(good: bool, otherwise: str) -> str:
    return "yes" if good else f"NO: {otherwise}"
