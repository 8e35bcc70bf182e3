"""Where a sweep's wall time went, from the stamps of its journal: parts that sum to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PARTS = (
    "start-up",
    "features",
    "turnover between trials",
    "search",
    "data wait",
    "forward, backward, optimiser",
    "validation",
    "checkpoints",
    "records, W&B and Ray between epochs",
    "idle slots",
    "tail",
    "closing",
)
_IDLE = 1.0
"""A slot that waits longer than this for its next trial, search not counted, was idle rather than turned over."""


@dataclass
class _Trial:
    slot: int
    started: float
    search: float
    reports: list[Mapping[str, Any]] = field(default_factory=list)
    ended: float | None = None


def breakdown(
    events: Sequence[Mapping[str, Any]], *, begun: float, ended: float, slots: int, features: float
) -> dict[str, float]:
    """Seconds of each of PARTS, which sum to `ended - begun`: a slot's second counts as one in `slots`.

    `begun` and `ended` are the moments of the command and of best_config.yaml; `features` of the start-up were spent on
    preparing speech. Time is taken as it passed on each slot, so a part may hold other processes' work on its cores.
    """
    by_slot: dict[int, list[_Trial]] = {slot: [] for slot in range(slots)}
    for trial in _trials(events):
        by_slot[trial.slot].append(trial)
    ends = [trial.ended for trials in by_slot.values() for trial in trials if trial.ended is not None]
    last = min(max(ends, default=ended), ended)
    spent = dict.fromkeys(PARTS, 0.0)
    for trials in by_slot.values():
        clock = begun
        for number, trial in enumerate(trials):
            clock = _add_trial(spent, trial, clock, features if number == 0 else None)
        spent["tail"] += max(0.0, last - clock)
        spent["closing"] += ended - max(last, clock)
    return {part: seconds / slots for part, seconds in spent.items()}


def first_step(events: Sequence[Mapping[str, Any]]) -> float:
    """The moment of the first training step: of a first epoch's report, less what that epoch took its worker."""
    first = [event for event in events if event["event"] == "report" and event["epoch"] == 1]
    parts = ("seconds", "seconds_validation", "seconds_checkpoint")
    return min(float(event["time"]) - sum(float(event.get(part, 0.0)) for part in parts) for event in first)


def turnovers(events: Sequence[Mapping[str, Any]]) -> list[float]:
    """For each trial that followed another on its slot: seconds from that one's end to its own first epoch."""
    found = []
    last: dict[int, float] = {}
    for trial in _trials(events):
        if trial.slot in last and trial.reports:
            first = trial.reports[0]
            found.append(float(first["time"]) - sum(_work(first, None).values()) - last[trial.slot])
        if trial.ended is not None:
            last[trial.slot] = trial.ended
    return found


def _trials(events: Sequence[Mapping[str, Any]]) -> list[_Trial]:
    trials: dict[str, _Trial] = {}
    for event in events:
        name = str(event.get("trial_id"))
        if event["event"] == "trial_started":
            trials[name] = _Trial(int(event["slot"]), event["time"], float(event.get("seconds_search", 0.0)))
        elif event["event"] == "report":
            trials[name].reports.append(event)
        elif event["event"] == "trial_ended":
            trials[name].ended = event["time"]
    return sorted(trials.values(), key=lambda trial: trial.started)


def _work(report: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, float]:
    """What a worker says it spent on one epoch; `seconds` is of the trial so far, training and data alike."""
    trained = float(report.get("seconds", 0.0)) - float((before or {}).get("seconds", 0.0))
    data = float(report.get("seconds_data", 0.0))
    return {
        "data wait": data,
        "forward, backward, optimiser": max(0.0, trained - data),
        "validation": float(report.get("seconds_validation", 0.0)),
        "checkpoints": float(report.get("seconds_checkpoint", 0.0)),
    }


def _add_trial(spent: dict[str, float], trial: _Trial, clock: float, features: float | None) -> float:
    """Account for a slot from `clock` to the end of a trial; features is None where it is not the slot's first."""
    for number, report in enumerate(trial.reports):
        arrived = float(report["time"])
        work = _work(report, trial.reports[number - 1] if number else None)
        gap = arrived - clock - sum(work.values())
        for part, seconds in work.items():
            spent[part] += seconds
        if number:
            spent["records, W&B and Ray between epochs"] += gap
        elif features is not None:
            spent["features"] += features
            spent["start-up"] += gap - features
        else:
            waited = trial.started - clock - trial.search
            idle = waited if waited > _IDLE else 0.0
            spent["search"] += trial.search
            spent["idle slots"] += idle
            spent["turnover between trials"] += gap - idle - trial.search
        clock = arrived
    if trial.ended is not None and trial.ended > clock:
        part = "records, W&B and Ray between epochs" if trial.reports else "turnover between trials"
        spent[part] += trial.ended - clock
        clock = trial.ended
    return clock
