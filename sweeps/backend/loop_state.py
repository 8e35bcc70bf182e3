"""What Ray's scheduler, search algorithm and callback share while the trials run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sweeps.trials.heartbeat import Heartbeat
from sweeps.trials.journal import Journal
from sweeps.trials.record import TrialRecord


@dataclass
class LoopState:
    """The journal, the trials' signs of life, and the first error.

    `on_end` is called with the record of each trial that has ended. Once `stopped` is set, what workers report or how
    they end is ignored: they are being ended.
    """

    journal: Journal
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    on_end: Callable[[TrialRecord], None] = lambda record: None
    error: BaseException | None = None
    stopped: bool = False

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Keep an error until Ray's step ends: inside of it Ray would wrap it in a TuneError."""
        try:
            yield
        except BaseException as error:
            self.error = self.error or error

    def end(
        self, trial_id: str, status: str, reason: str, rung: int | None = None, *, environment: bool | None = None
    ) -> None:
        """Write down how a trial ended; see Journal.end."""
        self.heartbeat.ended(trial_id)
        self.on_end(self.journal.end(trial_id, status, reason, rung, environment=environment))
