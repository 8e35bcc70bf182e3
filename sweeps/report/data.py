"""Everything that the page shows of a run, derived from its records."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from sweeps.common.errors import RequestError
from sweeps.common.strict_yaml import read_yaml_mapping
from sweeps.confirm.convergence import ENDINGS, Curve, Targets
from sweeps.confirm.speed_up import SpeedUp, speed_up
from sweeps.confirm.verdict import Verdict
from sweeps.confirm.verdict_json import verdict_from_json
from sweeps.report.coordinates import Axis, acting_axes, number, searched_axes
from sweeps.report.cost import Cost, cost
from sweeps.report.extras import Coordinate
from sweeps.report.importance import Comparison, Importance, comparison, importances
from sweeps.run.config import SweepConfig
from sweeps.run.folder import RunFolder
from sweeps.run.resources import Resources
from sweeps.run.run import Run
from sweeps.run.search_summary import SearchSummary, search_summary
from sweeps.space.configuration import identity
from sweeps.trials.objective import sign_of
from sweeps.trials.record import Event, TrialRecord, best_record, default_record


@dataclass(frozen=True, slots=True)
class State:
    """The state of the run: running, finished, interrupted, budget or failed, and the reason in words."""

    word: str
    reason: str = ""

    @property
    def running(self) -> bool:
        """Whether the sweep is still running."""
        return self.word == "running"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The recommended config, as in best_config.yaml, and its trial where that is known."""

    params: Mapping[str, object]
    record: TrialRecord | None
    is_default: bool


@dataclass(frozen=True)
class RunData:
    """One run: its config, its records, and what is derived from them."""

    folder: RunFolder
    content: Mapping[str, Any]
    request: SweepConfig
    plan: Resources
    records: tuple[TrialRecord, ...]
    state: State
    chosen: Chosen | None
    default: TrialRecord | None
    verdict: Verdict | None
    cost: Cost
    acting: tuple[Axis, ...]
    searched: tuple[Axis, ...]
    search_summary: SearchSummary

    @property
    def sign(self) -> float:
        """What turns a cost into the objective that people see: 1 to minimise, -1 to maximise."""
        return sign_of(self.request.objective_mode)

    @cached_property
    def ranks(self) -> dict[str, int]:
        """The place of each of the search's trials by objective, from 1; without those that have none or miss a
        requirement."""
        placed = [r for r in self.records if r.role == "trial" and r.cost is not None and r.feasible]
        placed.sort(key=lambda record: record.rank)
        return {record.trial_id: place for place, record in enumerate(placed, 1)}

    @cached_property
    def best(self) -> TrialRecord | None:
        """The best trial of the search."""
        return best_record(self.records)

    @cached_property
    def curves(self) -> dict[str, Curve]:
        """Each trial's evaluations; empty where they cannot be placed on a curve."""
        return {record.trial_id: _curve(record) for record in self.records}

    @cached_property
    def targets(self) -> Targets:
        """The objectives that convergence is measured to."""
        default = None if self.default is None else self.curves[self.default.trial_id]
        return Targets.between(self.mean_frame_error, default)

    @cached_property
    def mean_frame_error(self) -> float | None:
        """The objective of a trainer that has learned nothing but the mean, where the trainer reports it."""
        log = (
            record.sign * error
            for record in self.records
            for report in record.reports
            if (error := number(report.get("mean_frame_error"))) is not None
        )
        return next((error for error in log if error is not None), None)

    @cached_property
    def comparison(self) -> Comparison | None:
        """The search's trials, or a run's controls, compared at one epoch."""
        return comparison(self.records, "control" if self.request.space.controls else "trial")

    @cached_property
    def importances(self) -> tuple[Importance, ...]:
        """What the order of the trials comes from: the coordinates that act, then the searched parameters. Trials that
        miss a requirement are left out."""
        return importances(
            {record.trial_id: self.config(record) for record in self.records},
            (*self.acting, *self.searched),
            comparison(
                [record for record in self.records if record.feasible],
                "control" if self.request.space.controls else "trial",
            ),
        )

    @cached_property
    def search_speed_up(self) -> SpeedUp | None:
        """How much faster the search's best was than its default: one seed each, so no claim."""
        best, default = self.best, self.default
        if best is None or default is None or best is default:
            return None
        return speed_up(self.curves[best.trial_id], self.curves[default.trial_id], self.targets)

    @property
    def search(self) -> list[TrialRecord]:
        """The search's own trials, or a run's controls: neither confirmation runs nor rivals."""
        return [record for record in self.records if record.role in ("trial", "control")]

    @property
    def ended(self) -> int:
        """How many of the search's trials have ended."""
        return sum(record.status is not None for record in self.search)

    def config(self, record: TrialRecord) -> dict[str, object]:
        """All that a trial's trainer was given."""
        return {**self.request.shared_params, **record.params}


def gather(run: Run, coordinates: Sequence[Coordinate] = ()) -> RunData:
    """All that the page shows of a run, whether it has ended or not."""
    folder, request, plan = run.folder, run.config, run.resources
    records = tuple(run.records)
    default = default_record(records)
    if default is None and request.space.controls:
        wanted = request.space.default().identity
        default = next((record for record in records if record.identity == wanted), None)
    return RunData(
        folder=folder,
        content=cast(Mapping[str, Any], run.content),
        request=request,
        plan=plan,
        records=records,
        state=_state(run.events),
        chosen=_chosen(folder, records, default),
        default=default,
        verdict=_verdict(folder),
        cost=cost(records, plan, request.budget.epochs, run.seconds),
        acting=acting_axes(request, coordinates),
        searched=searched_axes(request),
        search_summary=search_summary(request, records, run.events),
    )


def _state(events: Sequence[Event]) -> State:
    """From the last event of the run itself: `..._started` and `..._resumed` open a session, `..._ended` closes it."""
    for event in reversed(events):
        name = str(event["event"])
        if event.get("trial_id") is None and name.endswith(("_started", "_resumed")):
            return State("running")
        if event.get("trial_id") is None and name.endswith("_ended"):
            return State(str(event.get("reason", "finished")), str(event.get("detail") or ""))
    return State("running")


def _verdict(folder: RunFolder) -> Verdict | None:
    """The verdict of verdict.json; None where there is none that can be read."""
    try:
        return verdict_from_json(json.loads((folder.path / "verdict.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _chosen(folder: RunFolder, records: Sequence[TrialRecord], default: TrialRecord | None) -> Chosen | None:
    """What best_config.yaml holds, so that page and file never differ; the search's best before there is one."""
    params: Mapping[str, object] | None = None
    trial_id = None
    try:
        content = cast(Mapping[str, Any], read_yaml_mapping(folder.best_config))
        params, trial_id = dict(content["training"]), content.get("provenance", {}).get("trial_id")
    except (RequestError, OSError, KeyError, TypeError, ValueError, AttributeError):
        best = best_record(records)
        if best is not None:
            params, trial_id = best.params, best.trial_id
    if params is None:
        return None
    record = next((record for record in records if record.trial_id == trial_id), None)
    return Chosen(params, record, default is not None and identity(params) == default.identity)


def _curve(record: TrialRecord) -> Curve:
    ended = ENDINGS.get(record.status, "failed")
    try:
        return Curve.from_reports(record.reports, ended, record.sign)
    except ValueError:  # the trainer's update counts are not ascending
        return Curve((), ended)


def pairs_at_comparison(data: RunData, metric: str) -> list[tuple[str, float, float]]:
    """(trial id, metric, objective) of the compared trials at their common epoch, where both are finite."""
    at = data.comparison
    found = []
    for record in data.records if at is not None else ():
        if at is None or record.trial_id not in at.costs:
            continue
        report: Event = next((report for report in record.reports if report.get("epoch") == at.epoch), {})
        value = number(report.get(metric))
        if value is not None and math.isfinite(at.costs[record.trial_id]):
            found.append((record.trial_id, value, record.sign * at.costs[record.trial_id]))
    return found
