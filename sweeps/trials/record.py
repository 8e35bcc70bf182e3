"""The record of each trial, derived from the events of trials.jsonl and never stored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from sys import intern

from sweeps.space.configuration import identity
from sweeps.space.space import Space
from sweeps.trials.event import Event
from sweeps.trials.failure import ENVIRONMENT_WORDS
from sweeps.trials.objective import number, objective_of, sign_of

RESUMED = "resumed"  # the reason of a trial_retried that is no failure


@dataclass(frozen=True)
class TrialRecord:
    """One trial: what it tried, what it reported, how it ended; `status` is None while it has not.

    Objectives are as reported. Search, stopping, ranking and verdict use the costs, of which less is always better;
    `sign` turns one into the other. Derived values are cached, because every decision asks for those of all trials.
    """

    trial_id: str
    role: str
    seed: int
    params: Mapping[str, object]
    origin: str = ""
    slot: int | None = None
    label: str | None = None
    coordinates: Mapping[str, object] = field(default_factory=dict)
    reports: tuple[Event, ...] = ()
    rungs: tuple[Event, ...] = ()
    retries: int = 0
    attempts: int = 1
    """How often it was handed out: once, and again after each crash and resume"""
    status: str | None = None
    stop_reason: str = ""
    environment: bool | None = None
    """Whether it failed by disk, memory, data or node and not by itself; None in runs of version 0.1.0"""
    rung: int | None = None
    started: float | None = None
    ended: float | None = None
    design: Mapping[str, object] | None = None
    """The plan by which a confirmation run is judged; None in runs that were planned with two looks"""
    mode: str = "min"
    """Whether a lower or a higher objective is better"""

    @property
    def sign(self) -> float:
        """1 where the objective is minimised, -1 where it is maximised: cost = sign * objective, and back."""
        return sign_of(self.mode)

    @cached_property
    def costs(self) -> dict[int, float]:
        """The finite costs by epoch."""
        values = {_epoch(report): objective_of(report) for report in self.reports}
        return {epoch: self.sign * value for epoch, value in values.items() if value is not None}

    @cached_property
    def best_epoch(self) -> int | None:
        """The epoch of the best finite objective, the earliest of equals; None where there is none.

        Of the epochs that meet the requirements (--require), where there are any.
        """
        missed = {_epoch(report) for report in self.reports if report.get("feasible") is False}
        met = [epoch for epoch in self.costs if epoch not in missed]
        return min(met or self.costs, key=lambda epoch: self.costs[epoch], default=None)

    @property
    def cost(self) -> float | None:
        """The objective of the best epoch with the sign that makes less better: what configs are ranked by."""
        return None if self.best_epoch is None else self.costs[self.best_epoch]

    @property
    def objective(self) -> float | None:
        """The objective of the best epoch, as reported."""
        return None if self.cost is None else self.sign * self.cost

    @property
    def rank(self) -> tuple[float, str]:
        """What trials are sorted by, the best first."""
        return math.inf if self.cost is None else self.cost, self.trial_id

    @cached_property
    def epochs(self) -> int:
        """The last epoch that was reported."""
        return _epoch(self.reports[-1]) if self.reports else 0

    @property
    def last_report(self) -> Event:
        """The report of the last epoch; empty before the first."""
        return self.reports[-1] if self.reports else {}

    @property
    def best_report(self) -> Event:
        """The report of the best epoch; empty where there is none."""
        return next((report for report in self.reports if _epoch(report) == self.best_epoch), {})

    @cached_property
    def running_cost(self) -> dict[int, float]:
        """The best cost up to each reported epoch, from the first finite one on."""
        found: dict[int, float] = {}
        best = math.inf
        for report in self.reports:
            best = min(best, self.costs.get(_epoch(report), math.inf))
            if best < math.inf:
                found[_epoch(report)] = best
        return found

    @cached_property
    def recommendable(self) -> bool:
        """Whether this config may be the best: no control, nothing that diverged, crashed or misses a requirement, and
        no NaN."""
        ran = self.role == "trial" and self.status not in ("diverged", "failed")
        return ran and self.best_epoch is not None and self.feasible

    @property
    def feasible(self) -> bool:
        """Whether the best epoch meets all requirements; True where there are none."""
        return self.best_report.get("feasible") is not False

    @property
    def failed_by_environment(self) -> bool:
        """Whether a resume tries it again: it failed, and not by its own config or code."""
        if self.environment is None:
            return self.status == "failed" and ENVIRONMENT_WORDS.search(self.stop_reason) is not None
        return self.status == "failed" and self.environment

    @cached_property
    def identity(self) -> str:
        """The same for two trials of one config."""
        return identity(self.params)

    def with_event(self, event: Event) -> TrialRecord:
        """The record after one more event; an epoch that was reported before is not counted again."""
        changed = self._with(event)
        if "identity" in self.__dict__:  # a hash of what no event changes
            changed.__dict__["identity"] = self.identity
        return changed

    def _with(self, event: Event) -> TrialRecord:
        kind = event["event"]
        if kind == "report":
            epoch = _epoch(event)
            if epoch <= self.epochs and any(_epoch(report) == epoch for report in self.reports):
                return self
            event = {intern(name): value for name, value in event.items()}  # a name a report would fill the memory
            reports = (*self.reports, event)
            if self.reports and epoch < _epoch(self.reports[-1]):
                reports = tuple(sorted(reports, key=_epoch))
            return replace(self, reports=reports)
        if kind == "rung":
            return replace(self, rungs=(*self.rungs, event))
        if kind == "trial_retried":
            slot = _whole(event.get("slot"))
            crashed = event.get("reason") != RESUMED
            return replace(
                self,
                status=None,
                stop_reason="",
                environment=None,
                rung=None,
                ended=None,
                retries=self.retries + crashed,
                attempts=self.attempts + (crashed or slot is not None),
                slot=self.slot if slot is None else slot,
            )
        if kind == "trial_ended":
            return replace(
                self,
                status=str(event["status"]),
                stop_reason=str(event.get("stop_reason", "")),
                environment=None if event.get("environment") is None else event["environment"] is True,
                rung=_whole(event.get("rung")),
                ended=number(event.get("time")),
            )
        return self


def record_from_start(event: Event) -> TrialRecord:
    """The record that a `trial_started` event opens."""
    return TrialRecord(
        trial_id=str(event["trial_id"]),
        role=str(event.get("role", "trial")),
        seed=_whole(event.get("seed")) or 0,
        params=_mapping(event.get("params")),
        origin=str(event.get("origin", "")),
        slot=_whole(event.get("slot")),
        label=None if event.get("label") is None else str(event["label"]),
        coordinates=_mapping(event.get("coordinates")),
        started=number(event.get("time")),
        design=_mapping(event.get("design")) or None,
        mode=str(event.get("mode", "min")),
    )


def records_from_events(events: Iterable[Event]) -> list[TrialRecord]:
    """The trials in the order of their start; events of a trial that never started are left out."""
    records: dict[str, TrialRecord] = {}
    for event in events:
        add_event(records, event)
    return list(records.values())


def add_event(records: dict[str, TrialRecord], event: Event) -> None:
    """Take one more event into `records`, by trial id."""
    trial_id = event.get("trial_id")
    if not isinstance(trial_id, str):
        return
    if trial_id in records:
        records[trial_id] = records[trial_id].with_event(event)
    elif event.get("event") == "trial_started":
        records[trial_id] = record_from_start(event)


def searched(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials of the search itself: neither confirmation runs nor baselines."""
    return [record for record in records if record.role in ("trial", "control")]


def best_record(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """The best that may be recommended, whatever the order of `records`."""
    return min((record for record in records if record.recommendable), key=lambda record: record.rank, default=None)


def default_record(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """The search's trial of the space's default config; a control is none."""
    return next((record for record in records if record.origin == "default" and record.role == "trial"), None)


def reference_record(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """What every trial is compared with: the default, or in a run of controls the first of them."""
    known = list(records)
    return default_record(known) or next((record for record in known if record.role == "control"), None)


def _epoch(event: Event) -> int:
    return _whole(event.get("epoch")) or 0


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _mapping(value: object) -> dict[str, object]:
    return {str(key): entry for key, entry in value.items()} if isinstance(value, Mapping) else {}


def searched_values(space: Space, record: TrialRecord) -> dict[str, object]:
    """The searched parameters of a trial, in the coordinates that the search runs in."""
    known = {**record.params, **record.coordinates}
    names = space.hyperparameters if space.controls else [parameter.name for parameter in space.searched]
    return {name: known[name] for name in names if name in known}
