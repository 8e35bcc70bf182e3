"""Ray's side of the search: hands out trials, first those a resumed run left open, then what the proposer proposes, and
after the search the runs that confirm it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray.tune.search import Searcher

from sweeps.confirm.confirmation import RIVAL, Confirmation, confirms
from sweeps.run.run import searched
from sweeps.search.sampler import Sampler
from sweeps.space.limits import Limits
from sweeps.trials.journal import Journal
from sweeps.trials.record import RESUMED, TrialRecord, default_record


class SearchAlgorithm(Searcher):  # type: ignore[misc]
    """Suggests a trial only when a slot is free, so that each suggestion knows all results there are.

    Each new trial is in the journal before Ray hears of it. `concurrent()` is how many may run now. `describe(record)`
    is the config that the worker gets; `handed_out` hears its id. `has_room` says whether the budget holds one more
    trial, `is_over` whether the search ends before its last one. `rivals` (what each adds to the default's config, by
    name) follow the search's trials.
    `confirmation(records)`, where something is to be confirmed, is asked once all these have ended, or at once where
    `searching` is off.
    """

    def __init__(
        self,
        journal: Journal,
        sampler: Sampler,
        *,
        limits: Limits,
        fixed: Mapping[str, object],
        controls: bool,
        seed: int,
        trials: int,
        mode: str = "min",
        concurrent: Callable[[], int],
        describe: Callable[[TrialRecord], dict[str, Any]],
        handed_out: Callable[[str], None],
        on_error: Callable[[BaseException], None],
        searching: bool = True,
        has_room: Callable[[], bool] = lambda: True,
        is_over: Callable[[], bool] = lambda: False,
        rivals: Mapping[str, Mapping[str, object]] | None = None,
        confirmation: Callable[[Sequence[TrialRecord]], Confirmation | None] | None = None,
    ) -> None:
        super().__init__(metric="objective", mode="min")
        self._journal = journal
        self._proposer = sampler
        self._limits = limits
        self._fixed = fixed
        self._controls = controls
        self._seed = seed
        self._trials = trials
        self._mode = mode
        self._concurrent = concurrent
        self._describe = describe
        self._handed_out = handed_out
        self._on_error = on_error
        self._waits_for_trials = searching
        self._searching = searching
        self._has_room = has_room
        self._is_over = is_over
        self._rivals = rivals or {}
        self._plan_confirmation = confirmation
        self._confirmation: Confirmation | None = None
        self._confirming = False
        self._open: list[TrialRecord] = [
            record for record in journal.records if record.status is None and (searching or confirms(record))
        ]
        self._slots: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's config, FINISHED when there is nothing left to try; None while all slots are taken, and
        while what comes next hangs on trials that still run."""
        if len(self._slots) >= self._concurrent():
            return None
        try:
            record = self._next()
        except BaseException as error:  # Ray would bury it in a TuneError: it is raised where the sweep can end well
            self._on_error(error)
            return str(Searcher.FINISHED)
        if record is None:
            return None if self._waits() else str(Searcher.FINISHED)
        self._slots[trial_id] = record.slot or 0
        self._handed_out(record.trial_id)
        return self._describe(record)

    def hand_out_again(self, record: TrialRecord) -> None:
        """Suggest a trial that Ray has given up once more, before any new one."""
        self._open.append(record)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: the model learns from the journal."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Free the trial's slot."""
        self._slots.pop(trial_id, None)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the only state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the only state."""

    def _next(self) -> TrialRecord | None:
        slot = min(set(range(len(self._slots) + 1)) - set(self._slots.values()))
        if self._open:
            record = self._open.pop(0)
            if confirms(record):
                self._begin_confirmation()
            self._journal.append("trial_retried", record.trial_id, epoch=record.epochs, reason=RESUMED, slot=slot)
            return self._journal.record(record.trial_id)
        if self._searching:
            more = self._has_room() and not self._is_over()
            started = (self._next_trial(slot) if more else None) or self._next_rival(slot)
            if started is not None:
                return started
            self._searching = False
        return self._next_confirm_run(slot)

    def _next_trial(self, slot: int) -> TrialRecord | None:
        records = searched(self._journal.records)
        number = len(records) + 1
        if number > self._trials:
            return None
        begun = time.perf_counter()
        proposal = self._proposer.propose(number, records)
        seconds = round(time.perf_counter() - begun, 4)
        if proposal is None:
            return None
        config = proposal.config
        safe = self._limits.hold({**self._fixed, **config.params})
        trial_id = f"t{number:04d}"
        return self._started(
            trial_id,
            role="control" if self._controls or not safe else "trial",
            seed=self._seed,
            params=config.params,
            origin=proposal.origin,
            slot=slot,
            seconds_search=seconds,
            **({"coordinates": config.coordinates} if config.coordinates else {}),
            **({"label": config.label} if config.label else {}),
        )

    def _started(self, trial_id: str, **about: object) -> TrialRecord:
        """Write the trial's first event; the mode is left out where the objective is minimised."""
        mode = {"mode": self._mode} if self._mode != "min" else {}
        self._journal.append("trial_started", trial_id, **about, **mode)
        return self._journal.record(trial_id)

    def _next_rival(self, slot: int) -> TrialRecord | None:
        """A rival with the search's seed; it is compared with the trials, and fills the slots that they leave idle."""
        records = self._journal.records
        default = default_record(records)
        begun = [record.label for record in records if record.role == RIVAL and not confirms(record)]
        due = [name for name in self._rivals if name not in begun]
        if default is None or not due:
            return None
        trial_id = _new_id("r", records)
        return self._started(
            trial_id,
            role=RIVAL,
            seed=self._seed,
            params={**default.params, **self._rivals[due[0]]},
            origin=RIVAL,
            slot=slot,
            label=due[0],
        )

    def _trials_run(self) -> bool:
        return self._waits_for_trials and any(
            record.status is None and not confirms(record) for record in self._journal.records
        )

    def _waits(self) -> bool:
        """Whether more will come once a trial that runs now has ended."""
        if self._plan_confirmation is None:
            return False
        if self._trials_run():
            return True
        return self._confirmation is not None and self._confirmation.has_more(self._journal.records)

    def _next_confirm_run(self, slot: int) -> TrialRecord | None:
        if self._plan_confirmation is None or self._trials_run():
            return None
        records = self._journal.records
        self._confirmation = self._confirmation or self._plan_confirmation(records)
        due = [] if self._confirmation is None else self._confirmation.due(records)
        if not due:
            return None
        self._begin_confirmation()
        run = due[0]
        trial_id = _new_id("r" if run.role == RIVAL else "c", records)
        return self._started(
            trial_id,
            role=run.role,
            seed=run.seed,
            params=run.params,
            origin=run.origin,
            slot=slot,
            label=run.label,
            **({"design": dict(run.design)} if run.design else {}),
        )

    def _begin_confirmation(self) -> None:
        """Say once in a session who is confirmed over which seeds; a resumed run keeps to what was said first."""
        if self._confirmation is None and self._plan_confirmation is not None:
            self._confirmation = self._plan_confirmation(self._journal.records)
        if self._confirming or self._confirmation is None:
            return
        self._confirming = True
        plan = self._confirmation.plan
        self._journal.append(
            "confirm_started",
            None,
            candidates=plan.candidates,
            selection_seeds=plan.selection_seeds,
            seeds=plan.confirmation_seeds,
        )


def _new_id(letter: str, records: Sequence[TrialRecord]) -> str:
    """The next id of a kind: c0001 for confirmation runs, r0001 for rivals."""
    return f"{letter}{sum(record.trial_id.startswith(letter) for record in records) + 1:04d}"
