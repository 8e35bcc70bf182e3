"""Ray's ASHA on our rungs: the best cost by absolute epoch, nothing that is not finite, a reason for each end."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from sweeps.backend.loop_state import LoopState
from sweeps.confirm.plan import RIVAL
from sweeps.confirm.plan import ROLE as CONFIRM
from sweeps.search.asha import Decision, Rungs
from sweeps.search.options import NO_OPTIONS, SearchOptions
from sweeps.trials.event import Event
from sweeps.trials.journal import Journal
from sweeps.trials.record import TrialRecord, searched


class RungScheduler(AsyncHyperBandScheduler):  # type: ignore[misc]
    """Handles each epoch's report in one order: record, decide, act.

    1. Record: the report is in the journal, on disk.
    2. Decide: Ray's ASHA asks the rungs, which know the journal's records alone; what they decide, and the trial's end,
       are in the journal.
    3. Act: Ray stops the trial or lets it train on.

    A driver that dies in between has lost nothing: a resume decides the same from the same records. The default, and
    configs outside the limits, are never stopped; confirmation runs and baselines enter no rung.
    """

    def __init__(
        self,
        state: LoopState,
        rungs: Rungs,
        epochs: int,
        *,
        on_cluster: bool = False,
        options: SearchOptions = NO_OPTIONS,
    ) -> None:
        # The values that Ray compares are costs, whatever the objective's direction.
        super().__init__(time_attr="epoch", metric="objective", mode="min", max_t=epochs, reduction_factor=rungs.eta)
        self._bracket = _Bracket(rungs, state.journal)
        self._brackets = [self._bracket]
        self._state = state
        self._epochs = epochs
        self._on_cluster = on_cluster
        self._options = options

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Stop at a rung, at the full length, or because the objective is not finite."""
        with self._state.guarded():
            if not self._state.stopped:
                record = self._record(trial.config["trial_id"], result)
                ended = self._decide(trial, record, result)
                if ended is not None:
                    status, reason, rung = ended
                    missed = self._options.missed(self._state.journal.record(record.trial_id))
                    reason = "; ".join(part for part in (reason, missed) if part)
                    self._state.end(record.trial_id, status, reason, rung)
                    return str(TrialScheduler.STOP)
        return str(TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Forget the trial; its rungs were recorded when it came to them."""
        self._trial_info.pop(trial.trial_id, None)

    def _record(self, trial_id: str, result: dict[str, Any]) -> TrialRecord:
        """Write the report down; an epoch that is known already is not written again."""
        (report,) = result["report"]
        journal = self._state.journal
        self._state.heartbeat.reported(trial_id, time.monotonic(), float(result.get("time_this_iter_s", 0.0)))
        if report["epoch"] > journal.record(trial_id).epochs:
            node = {"node": result["node_ip"]} if self._on_cluster else {}
            journal.append("report", trial_id, **report, **node, **self._options.marks(report))
        return journal.record(trial_id)

    def _decide(self, trial: Any, record: TrialRecord, result: dict[str, Any]) -> tuple[str, str, int | None] | None:
        """How and why the trial ends now, and at which rung; None where it trains on."""
        (report,) = result["report"]
        if not math.isfinite(result["objective"]):
            return "diverged", divergence(report), None
        self._bracket.decision = None
        super().on_trial_result(None, trial, {"epoch": result["epoch"], "objective": record.cost})
        decision = self._bracket.decision
        if decision is not None:
            decision = as_reported(decision, record)
            self._state.journal.append(
                "rung",
                record.trial_id,
                epoch=decision.epoch,
                value=decision.value,
                cutoff=decision.cutoff,
                decision="stop" if decision.stop else "go",
            )
            if decision.stop:
                return "stopped", str(decision), decision.epoch
        if result["epoch"] >= self._epochs:
            return "finished", f"all {self._epochs} epochs", None
        return None


class _Bracket:
    """What Ray's scheduler asks for a decision, answered by the rungs."""

    def __init__(self, rungs: Rungs, journal: Journal) -> None:
        self._rungs = list(rungs.epochs)
        self._rules = rungs
        self._journal = journal
        self.decision: Decision | None = None
        """The one on the report that is handled now"""

    def on_result(self, trial: Any, epoch: int, reward: float) -> str:
        trial_id, cost = trial.config["trial_id"], -reward
        record = self._journal.record(trial_id)
        if record.role in (CONFIRM, RIVAL):
            return str(TrialScheduler.CONTINUE)
        protected = record.role != "trial" or record.origin in ("default", "memory")  # a memory is judged by ends
        known = searched(self._journal.records)
        self.decision = self._rules.reach(trial_id, epoch, cost, known, protected=protected)
        stop = self.decision is not None and self.decision.stop
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)


def as_reported(decision: Decision, record: TrialRecord) -> Decision:
    """The decision with objectives as the trainer reports them, instead of costs."""
    cutoff = None if decision.cutoff is None else record.sign * decision.cutoff
    return replace(decision, value=record.sign * decision.value, cutoff=cutoff)


def divergence(report: Event) -> str:
    """What was not finite, in words."""
    diverged = report.get("diverged")
    if isinstance(diverged, dict):
        return f"{diverged.get('term')} is {diverged.get('value')} at step {diverged.get('step')}"
    return f"the objective is not finite in epoch {report.get('epoch')}"
