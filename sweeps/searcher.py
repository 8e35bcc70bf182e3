"""Ray's side of the search: hands out trials, first those a resumed run left open, then what the proposer proposes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray.tune.search import Searcher

from sweeps.journal import Journal
from sweeps.limits import Limits
from sweeps.proposer import Proposer
from sweeps.records import RESUMED, TrialRecord


class SweepSearcher(Searcher):  # type: ignore[misc]
    """Suggests a trial only when a slot is free, so that each suggestion knows all results there are.

    Each new trial is in the journal before Ray hears of it. `describe(record)` is the config that the worker gets;
    `handed_out` hears its id.
    """

    def __init__(
        self,
        journal: Journal,
        proposer: Proposer,
        *,
        limits: Limits,
        fixed: Mapping[str, object],
        controls: bool,
        seed: int,
        trials: int,
        concurrent: int,
        describe: Callable[[TrialRecord], dict[str, Any]],
        handed_out: Callable[[str], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        super().__init__(metric="objective", mode="min")
        self._journal = journal
        self._proposer = proposer
        self._limits = limits
        self._fixed = fixed
        self._controls = controls
        self._seed = seed
        self._trials = trials
        self._concurrent = concurrent
        self._describe = describe
        self._handed_out = handed_out
        self._on_error = on_error
        self._open: list[TrialRecord] = [record for record in journal.records if record.status is None]
        self._slots: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's config, None while all slots are taken, FINISHED when there is nothing left to try."""
        if len(self._slots) >= self._concurrent:
            return None
        try:
            record = self._next()
        except BaseException as error:  # Ray would bury it in a TuneError: it is raised where the sweep can end well
            self._on_error(error)
            return str(Searcher.FINISHED)
        if record is None:
            return str(Searcher.FINISHED)
        self._slots[trial_id] = record.slot or 0
        self._handed_out(record.trial_id)
        return self._describe(record)

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
        slot = min(set(range(self._concurrent)) - set(self._slots.values()), default=0)
        if self._open:
            record = self._open.pop(0)
            self._journal.append("trial_retried", record.trial_id, epoch=record.epochs, reason=RESUMED, slot=slot)
            return self._journal.record(record.trial_id)
        searched: Sequence[TrialRecord] = [r for r in self._journal.records if r.role in ("trial", "control")]
        number = len(searched) + 1
        if number > self._trials:
            return None
        proposal = self._proposer.propose(number, searched)
        if proposal is None:
            return None
        config = proposal.config
        safe = self._limits.hold({**self._fixed, **config.params})
        trial_id = f"t{number:04d}"
        self._journal.append(
            "trial_started",
            trial_id,
            role="control" if self._controls or not safe else "trial",
            seed=self._seed,
            params=config.params,
            origin=proposal.origin,
            slot=slot,
            **({"coordinates": config.coordinates} if config.coordinates else {}),
            **({"label": config.label} if config.label else {}),
        )
        return self._journal.record(trial_id)
