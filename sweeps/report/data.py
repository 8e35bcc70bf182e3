"""What the page shows of a run, derived from its records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sweeps.confirm.confirmation_runs import judged_runs
from sweeps.confirm.convergence import Targets
from sweeps.confirm.learning_curve import Curve, learning_curve, mean_frame_error
from sweeps.confirm.speed_up import SpeedUp, speed_up
from sweeps.confirm.verdict import Verdict
from sweeps.report.coordinates import Axis, acting_axes, searched_axes
from sweeps.report.cost import Cost, cost
from sweeps.report.extras import Coordinate
from sweeps.report.importance import Comparison, Importance, comparison, importances
from sweeps.run.config import SweepConfig
from sweeps.run.run import Run
from sweeps.run.search_summary import SearchSummary, search_summary
from sweeps.trials.event import Event
from sweeps.trials.objective import number, sign_of
from sweeps.trials.record import TrialRecord, default_record, searched


@dataclass(frozen=True, slots=True)
class State:
    """The state of the run: running, finished, interrupted, budget or failed, and the reason in words."""

    word: str
    reason: str = ""

    @property
    def running(self) -> bool:
        """Whether the sweep is still running."""
        return self.word == "running"


@dataclass(frozen=True)
class RunData:
    """What the page shows of a run, whether it has ended or not; `coordinates` are the ratios that act."""

    run: Run
    coordinates: Sequence[Coordinate] = ()

    @property
    def records(self) -> Sequence[TrialRecord]:
        """All trials, confirmation runs and baselines."""
        return self.run.records

    @property
    def config(self) -> SweepConfig:
        """What was asked for."""
        return self.run.config

    @cached_property
    def state(self) -> State:
        """From the last event of the run itself: `_started` and `_resumed` open a session, `_ended` closes it."""
        for event in reversed(self.run.events):
            name = str(event["event"])
            if event.get("trial_id") is None and name.endswith(("_started", "_resumed")):
                break
            if event.get("trial_id") is None and name.endswith("_ended"):
                return State(str(event.get("reason", "finished")), str(event.get("detail") or ""))
        return State("running")

    @cached_property
    def recommended(self) -> TrialRecord | None:
        """The trial whose config best_config.yaml holds."""
        return self.run.recommended

    @property
    def keeps_default(self) -> bool:
        """Whether that is the default."""
        return (
            self.recommended is not None
            and self.default is not None
            and self.recommended.identity == self.default.identity
        )

    @cached_property
    def default(self) -> TrialRecord | None:
        """The trial with the default config; in a run of controls the one that has its values."""
        if not self.config.space.controls:
            return default_record(self.records)
        wanted = self.config.space.default().identity
        return default_record(self.records) or next((one for one in self.records if one.identity == wanted), None)

    @cached_property
    def finalist(self) -> TrialRecord | None:
        """The trial that a confirmation judged: not always the search's first, because fresh seeds chose among its
        best. The search's best where nothing was judged."""
        finalist, _, _ = judged_runs(self.records)
        return next((one for one in self.records if one.trial_id == finalist), self.best)

    @property
    def verdict(self) -> Verdict | None:
        """The best against the default; None before the first pair of runs has ended."""
        return self.run.verdict

    @cached_property
    def cost(self) -> Cost:
        """What the run has used."""
        return cost(self.records, self.run.resources, self.config.budget.epochs, self.run.seconds)

    @cached_property
    def acting(self) -> tuple[Axis, ...]:
        """The ratios that act."""
        return acting_axes(self.config, self.coordinates)

    @cached_property
    def searched(self) -> tuple[Axis, ...]:
        """The searched parameters that are numbers."""
        return searched_axes(self.config)

    @cached_property
    def search_summary(self) -> SearchSummary:
        """What came of the search's options."""
        return search_summary(self.run)

    @property
    def sign(self) -> float:
        """What turns a cost into the objective that people see: 1 to minimise, -1 to maximise."""
        return sign_of(self.config.objective_mode)

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
        return self.run.best

    @cached_property
    def curves(self) -> dict[str, Curve]:
        """Each trial's evaluations; empty where they cannot be placed on a curve."""
        return {record.trial_id: learning_curve(record) for record in self.records}

    @cached_property
    def targets(self) -> Targets:
        """The objectives that convergence is measured to."""
        default = None if self.default is None else self.curves[self.default.trial_id]
        return Targets.between(self.mean_frame_error, default)

    @cached_property
    def mean_frame_error(self) -> float | None:
        """The objective of a trainer that has learned nothing but the mean, where the trainer reports it."""
        return mean_frame_error(self.records)

    @cached_property
    def comparison(self) -> Comparison | None:
        """The search's trials, or a run's controls, compared at one epoch."""
        return comparison(self.records, "control" if self.config.space.controls else "trial")

    @cached_property
    def importances(self) -> tuple[Importance, ...]:
        """What the order of the trials comes from: the coordinates that act, then the searched parameters. Trials that
        miss a requirement are left out."""
        return importances(
            {record.trial_id: self.params(record) for record in self.records},
            (*self.acting, *self.searched),
            comparison(
                [record for record in self.records if record.feasible],
                "control" if self.config.space.controls else "trial",
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
        return searched(self.records)

    @property
    def ended(self) -> int:
        """How many of the search's trials have ended."""
        return sum(record.status is not None for record in self.search)

    def params(self, record: TrialRecord) -> dict[str, object]:
        """All that a trial's trainer was given."""
        return {**self.config.shared_params, **record.params}


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
