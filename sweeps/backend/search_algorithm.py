"""Ray's side of the search: asks for a trial whenever a slot is free."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any, Protocol

from ray.tune.search import Searcher

from sweeps.backend.loop_state import LoopState
from sweeps.trials.record import TrialRecord


class TrialSource(Protocol):
    """Says which trial comes next."""

    def next(self, slot: int, running: Collection[str]) -> TrialRecord | None:
        """The next trial, in the journal already; None where there is none now. `running` are the ids handed out."""

    def more_later(self) -> bool:
        """Whether there will be one once a trial that runs now has ended."""


class SearchAlgorithm(Searcher):  # type: ignore[misc]
    """Suggests a trial only when a slot is free, so that each suggestion uses all results there are.

    `concurrent()` is how many trials may run now, `worker_config(record)` what the worker gets. The journal is the only
    state: there is nothing to save or restore.
    """

    def __init__(
        self,
        state: LoopState,
        source: TrialSource,
        concurrent: Callable[[], int],
        worker_config: Callable[[TrialRecord], dict[str, Any]],
    ) -> None:
        super().__init__(metric="objective", mode="min")
        self._state = state
        self._source = source
        self._concurrent = concurrent
        self._worker_config = worker_config
        self._running: dict[str, tuple[int, str]] = {}  # slot and id, by Ray's id

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's config; None while all slots are taken or while it depends on trials that still run;
        FINISHED when there is nothing left to try."""
        if len(self._running) >= self._concurrent():
            return None
        with self._state.guarded():
            slots = {slot for slot, _ in self._running.values()}
            slot = min(set(range(len(slots) + 1)) - slots)
            record = self._source.next(slot, {name for _, name in self._running.values()})
            if record is None:
                return None if self._source.more_later() else str(Searcher.FINISHED)
            self._running[trial_id] = (slot, record.trial_id)
            self._state.heartbeat.handed_out(record.trial_id, time.monotonic())
            return self._worker_config(record)
        return str(Searcher.FINISHED)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: the search learns from the journal."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Free the trial's slot. One that has no end in the journal yet is suggested once more."""
        self._running.pop(trial_id, None)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the only state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the only state."""
