"""Healthy runs of the built-in trainer, to place a run among: skill by epoch (benchmarks/reference_curves.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml

from xtts.diagnostics.finding import Epoch, Finding, number

BEHIND, PLACED = REFERENCE_CODES = ("behind_reference", "placed_in_reference")
MARGIN = 0.5
"""Below this share of the lowest healthy skill a run is called behind. Voices differ by a third (0.24 and 0.36 after 3
epochs); with 0.75 one healthy voice was behind the other."""


@dataclass(frozen=True)
class Reference:
    """Sorted skills of healthy runs, by epoch."""

    skills: Mapping[int, Sequence[float]]

    @classmethod
    def of_runs(cls, runs: Iterable[Sequence[Epoch]]) -> Reference:
        """From the epochs of healthy runs."""
        found: dict[int, list[float]] = {}
        for epochs in runs:
            for epoch in epochs:
                at, skill = number(epoch, "epoch"), number(epoch, "skill")
                if at is not None and skill is not None:
                    found.setdefault(int(at), []).append(skill)
        return cls({at: tuple(sorted(skills)) for at, skills in sorted(found.items())})

    def as_dict(self) -> dict[str, object]:
        """As the file holds it."""
        return {"skill": {at: [round(one, 4) for one in skills] for at, skills in self.skills.items()}}

    def finding(self, epochs: Sequence[Epoch]) -> Finding | None:
        """The last epoch's place among the healthy runs; a warning where it is clearly behind all of them."""
        last = epochs[-1] if epochs else {}
        at, skill = number(last, "epoch"), number(last, "skill")
        skills = self.skills.get(int(at), ()) if at is not None else ()
        if at is None or skill is None or at < 3 or not skills:
            return None
        share = sum(one <= skill for one in skills) / len(skills)
        numbers: dict[str, float | int | str] = {
            "epoch": int(at),
            "skill": skill,
            "low": skills[0],
            "high": skills[-1],
            "share": share,
            "runs": len(skills),
        }
        behind = skill < MARGIN * skills[0]
        return Finding(BEHIND, "warning", numbers) if behind else Finding(PLACED, "note", numbers)


@cache
def reference() -> Reference:
    """The shipped curves: model tiny, single voices of the demo speech."""
    text = resources.files("xtts.diagnostics").joinpath("reference_curves.yaml").read_text(encoding="utf-8")
    return Reference({int(at): tuple(skills) for at, skills in yaml.safe_load(text)["skill"].items()})
