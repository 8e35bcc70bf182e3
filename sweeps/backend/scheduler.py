"""Ray's ASHA on our rungs: the running best by absolute epoch, nothing that is not finite, a reason for each end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from sweeps.search.asha import Decision, Rungs
from sweeps.trials.objective import objective_of
from sweeps.trials.record import TrialRecord


@dataclass(frozen=True)
class Ending:
    """How and why a trial ends."""

    status: str
    reason: str
    rung: int | None = None


class RungScheduler(AsyncHyperBandScheduler):  # type: ignore[misc]
    """ASHA that never stops a protected trial and ends a non-finite one at once; `apart` trials enter no rung at all.

    `record(trial_id)` and `records()`, the search's trials, are what the journal knows; `decisions` and `endings`
    hold, by trial id, what was decided on its newest result, for whoever writes the record.
    """

    def __init__(
        self,
        rungs: Rungs,
        epochs: int,
        *,
        protected: Callable[[str], bool],
        record: Callable[[str], TrialRecord],
        records: Callable[[], Sequence[TrialRecord]] = list,
        apart: Callable[[str], bool] = lambda trial_id: False,
    ) -> None:
        super().__init__(time_attr="epoch", metric="objective", mode="min", max_t=epochs, reduction_factor=rungs.eta)
        self._bracket = _Bracket(rungs, protected, records, apart)
        self._brackets = [self._bracket]
        self._epochs = epochs
        self._record = record
        self.endings: dict[str, Ending] = {}

    @property
    def decisions(self) -> dict[str, Decision]:
        """The newest decision on each trial that came to a rung."""
        return self._bracket.decisions

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Stop at a rung, at the full length, or because the objective is not finite."""
        trial_id, value, epoch = trial.config["trial_id"], result["objective"], result["epoch"]
        if objective_of(result) is None:
            self.endings[trial_id] = Ending("diverged", "the objective is not finite")
            return str(TrialScheduler.STOP)
        record = self._record(trial_id)
        cost = record.sign * value
        best = cost if record.cost is None else min(cost, record.cost)
        action = super().on_trial_result(tune_controller, trial, {"epoch": epoch, "objective": best})
        decision = self.decisions.get(trial_id)
        if decision is not None and record.mode == "max":
            cutoff = None if decision.cutoff is None else -decision.cutoff
            decision = self.decisions[trial_id] = replace(decision, value=-decision.value, cutoff=cutoff)
        if decision is not None and decision.stop:
            self.endings[trial_id] = Ending("stopped", str(decision), decision.epoch)
        elif epoch >= self._epochs:
            self.endings[trial_id] = Ending("finished", f"all {self._epochs} epochs")
        return str(action)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Forget the trial; its rungs were recorded when it came to them."""
        self._trial_info.pop(trial.trial_id, None)


class _Bracket:
    """What Ray's scheduler asks for a decision, answered by the rungs."""

    def __init__(
        self,
        rungs: Rungs,
        protected: Callable[[str], bool],
        records: Callable[[], Sequence[TrialRecord]],
        apart: Callable[[str], bool],
    ) -> None:
        self._rungs = list(rungs.epochs)
        self._rules = rungs
        self._protected = protected
        self._records = records
        self._apart = apart
        self.decisions: dict[str, Decision] = {}

    def on_result(self, trial: Any, epoch: int, reward: float) -> str:
        trial_id = trial.config["trial_id"]
        if self._apart(trial_id) or self._rules.due(trial_id, epoch, -reward) is None:
            return str(TrialScheduler.CONTINUE)
        decision = self._rules.reach(trial_id, epoch, -reward, self._records(), protected=self._protected(trial_id))
        if decision is None:
            return str(TrialScheduler.CONTINUE)
        self.decisions[trial_id] = decision
        return str(TrialScheduler.STOP if decision.stop else TrialScheduler.CONTINUE)
