"""Healthy runs of the built-in trainer, to place a run among: by updates (benchmarks/reference_curves.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import yaml

from xtts.diagnostics.finding import Epoch, Finding, number

BEHIND, PLACED = "behind_reference", "placed_in_reference"
UPDATES = (40, 60, 80, 100, 150, 200)
MARGIN = 1.4
"""Above this many times the highest healthy error a run is called behind: halfway to the slowest broken runs"""
FEWEST = 4
BEYOND = 1.5
"""A run of more updates than this many times the curves' last is not placed: it is ahead of all of them"""
MEASURES = ("error", "skill")


@dataclass(frozen=True)
class Reference:
    """By updates: sorted values of healthy runs of `skill` (free-running) and `error`, the mel error one patch ahead
    over that of always predicting the mean frame."""

    values: Mapping[int, Mapping[str, Sequence[float]]]

    @classmethod
    def of_runs(cls, runs: Iterable[Sequence[Epoch]]) -> Reference:
        """From the epochs of healthy runs, interpolated between them."""
        curves = [_curve(epochs) for epochs in runs]
        found = {}
        for at in UPDATES:
            reached = [curve for curve in curves if len(curve) and curve[0, 0] <= at <= curve[-1, 0]]
            if reached:
                found[at] = {
                    name: tuple(sorted(float(np.interp(at, curve[:, 0], curve[:, column])) for curve in reached))
                    for column, name in enumerate(MEASURES, 1)
                }
        return cls(found)

    def as_dict(self) -> dict[int, dict[str, list[float]]]:
        """As the file holds it."""
        return {at: {name: [round(x, 3) for x in row] for name, row in one.items()} for at, one in self.values.items()}

    def finding(self, epochs: Sequence[Epoch]) -> Finding | None:
        """The last epoch's place among the healthy runs; a warning where its error is clearly above all of theirs."""
        curve = _curve(epochs)
        known = [
            at for at, one in self.values.items() if len(curve) and at <= curve[-1, 0] and len(one["skill"]) >= FEWEST
        ]
        if not known:
            return None
        healthy = self.values[max(known)]
        updates, error, skill = curve[-1]
        numbers: dict[str, float | int | str] = {
            "updates": int(updates),
            "error": float(error),
            "skill": float(skill),
            "low": healthy["skill"][0],
            "high": healthy["skill"][-1],
            "highest_error": healthy["error"][-1],
            "share": float(np.mean([one <= skill for one in healthy["skill"]])),
            "runs": len(healthy["skill"]),
        }
        if error > MARGIN * healthy["error"][-1]:
            return Finding(BEHIND, "warning", numbers)
        return Finding(PLACED, "note", numbers) if updates <= BEYOND * max(known) else None


def _curve(epochs: Sequence[Epoch]) -> np.ndarray:
    """[epochs, 3]: updates, error, skill, where all are known."""
    rows = []
    for epoch in epochs:
        names = ("updates", "val/mel", "mean_frame_error", "skill")
        updates, mel, frame, skill = (number(epoch, name) for name in names)
        if updates is not None and mel is not None and frame and skill is not None:
            rows.append((updates, mel / frame, skill))
    return np.array(rows)


@cache
def reference() -> Reference:
    """The shipped curves: model tiny, single voices."""
    text = resources.files("xtts.diagnostics").joinpath("reference_curves.yaml").read_text(encoding="utf-8")
    return Reference(yaml.safe_load(text))
