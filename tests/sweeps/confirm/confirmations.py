"""Confirmations of a search, planned and carried out on paper."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from sweeps.confirm.confirmation import Confirmation, confirmation_of
from sweeps.confirm.plan import Assignment, Design
from sweeps.trials.record import TrialRecord
from tests.sweeps.builders import trial

SPLIT = {"evaluate_on": "test"}


def searched() -> list[TrialRecord]:
    """A search whose best are, in this order, t0003, t0002, t0005 and t0004; t0006 diverged."""
    default = trial(1, [0.9, 0.8], origin="default")
    others = [trial(number, [0.9, end]) for number, end in ((2, 0.6), (3, 0.5), (4, 0.75), (5, 0.7))]
    return [default, *others, trial(6, [0.4, math.nan], "diverged")]


def ended(assignment: Assignment, objectives: list[float], status: str | None = "finished") -> TrialRecord:
    number = 100 + assignment.seed % 1000 + sum(map(ord, assignment.label))
    record = trial(number, objectives, status, role="confirm", origin=assignment.origin)
    about = {"label": assignment.label, "seed": assignment.seed, "design": assignment.design}
    return replace(record, params=assignment.params, **about)  # type: ignore[arg-type]


def planned(records: list[TrialRecord], seeds: int = 3, **more: Any) -> Confirmation:
    confirmation = confirmation_of(records, 1, seeds, Design(stops_early=False), judged_params=SPLIT, **more)
    assert confirmation is not None
    return confirmation


def carried_out(finalist: list[float], default: list[float]) -> list[TrialRecord]:
    """The search and its whole confirmation: what finalist and default end at, seed by seed."""
    records = searched()
    confirmation = planned(records, len(finalist))
    ends = {"finalist": iter(finalist), "default": iter(default)}
    while due := confirmation.due(records):
        run = due[0]
        side = run.label.split()[0]
        end = next(ends[side]) if side in ends else {"candidate t0002": 0.5}.get(run.label, 0.6)
        status = "finished" if math.isfinite(end) else "diverged"
        records.append(ended(run, [1.0, end, end, end], status))
    return records
