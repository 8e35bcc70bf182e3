"""A W&B run for every trial, fed by the journal's events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sweeps.common.errors import named_reason
from sweeps.confirm.plan import CONFIRMATION
from sweeps.run.convergence_columns import compared_with
from sweeps.trials.event import Event
from sweeps.trials.record import TrialRecord, add_event
from sweeps.wandb.content import (
    Ratio,
    history_row,
    run_config,
    run_name,
    run_summary,
    run_tags,
)
from sweeps.wandb.destination import Destination
from sweeps.wandb.run_opener import RunOpener

if TYPE_CHECKING:
    from wandb import Run

MOST_WAITING = 8
MOST_FAILURES = 3


class GivenUpError(Exception):
    """W&B failed so often that nothing more is tried."""


class TrialRuns:
    """Keeps a run open while its trial runs, and longer where its speed-up needs the default's end.

    A trial for which W&B fails is counted and passed over; GivenUpError after three such trials in a row.
    """

    def __init__(
        self,
        opener: RunOpener,
        destination: Destination,
        space: str,
        shared: Mapping[str, object],
        ratios: Sequence[Ratio],
        past: Iterable[Event] = (),
    ) -> None:
        self._opener = opener
        self._destination = destination
        self._space = space
        self._shared = shared
        self._ratios = ratios
        self._records: dict[str, TrialRecord] = {}
        self._open: dict[str, Run] = {}
        self._waiting: list[str] = []
        self._in_a_row = 0
        self._failed: set[str] = set()
        self.failure: str | None = None
        for event in past:
            add_event(self._records, event)

    @property
    def records(self) -> list[TrialRecord]:
        """All trials so far."""
        return list(self._records.values())

    @property
    def failures(self) -> int:
        """How many trials have no run, or not a whole one."""
        return len(self._failed)

    def on_event(self, event: Event) -> None:
        """Take in one event of the journal."""
        add_event(self._records, event)
        trial_id = event.get("trial_id")
        if not isinstance(trial_id, str) or trial_id not in self._records or trial_id in self._failed:
            return
        try:
            self._follow(trial_id, event)
        except Exception as error:
            self._fail(trial_id, error)

    def log_media(self, trial_id: str, media: Mapping[str, object]) -> None:
        """Add pictures and sounds to a trial's run, which is opened again where it has ended."""
        if trial_id not in self._records or trial_id in self._failed:
            return
        try:
            record = self._records[trial_id]
            run = self._run(record)
            run.log({**media, "epoch": record.epochs}, step=record.epochs + 1, commit=True)
            self._finish(trial_id)
        except Exception as error:
            self._fail(trial_id, error)

    def finish_all(self) -> None:
        """End every run that is still open."""
        for trial_id in list(self._open):
            try:
                self._finish(trial_id)
            except Exception as error:
                self._fail(trial_id, error)

    def _follow(self, trial_id: str, event: Event) -> None:
        kind, record = event["event"], self._records[trial_id]
        if kind in ("trial_started", "trial_retried"):
            self._run(record)
        elif kind == "report":
            row = history_row(event)
            # The row has to be whole at once: one that is still pending would overwrite the summary later.
            self._run(record).log(row, step=int(row["epoch"]), commit=True)
        elif kind == "trial_ended":
            self._run(record)
            self._waiting.append(trial_id)
            self._finish_waiting()

    def _finish_waiting(self) -> None:
        for trial_id in list(self._waiting):
            if len(self._waiting) > MOST_WAITING or not self._is_awaited(self._records[trial_id]):
                self._finish(trial_id)

    def _is_awaited(self, record: TrialRecord) -> bool:
        """Whether the default's run, by which this one's speed is measured, is still to end."""
        default = compared_with(self.records)(record)
        return record.origin == CONFIRMATION if default is None else default.status is None

    def _run(self, record: TrialRecord) -> Run:
        if record.trial_id not in self._open:
            self._open[record.trial_id] = self._opener.open(
                self._destination.run_id(record.trial_id),
                run_name(record),
                record.role,
                run_config(record, self._shared, self._ratios),
                run_tags(record, self._space),
            )
        return self._open[record.trial_id]

    def _finish(self, trial_id: str) -> None:
        if trial_id in self._waiting:
            self._waiting.remove(trial_id)
        run, record = self._open.pop(trial_id), self._records[trial_id]
        run.summary.update(run_summary(record, self.records))
        self._opener.finish(run, exit_code=int(record.status == "failed"))
        self._in_a_row = 0

    def _fail(self, trial_id: str, error: Exception) -> None:
        self._failed.add(trial_id)
        self._in_a_row += 1
        self.failure = f"{trial_id}: {named_reason(error)}"
        self._open.pop(trial_id, None)
        if self._in_a_row >= MOST_FAILURES:
            raise GivenUpError(self.failure) from error
