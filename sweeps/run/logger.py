"""The one interface for whatever follows a run somewhere else: W&B, or a tracker of your own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from sweeps.run.folder import RunFolder
from sweeps.run.run import Run
from sweeps.trials.event import Event


class Logger:
    """Derive from it and override what you need. A logger that raises is dropped with one line and ends no sweep."""

    def start(self, folder: RunFolder) -> None:
        """Called once, before the first event of this session."""

    def on_event(self, event: Event) -> None:
        """Called after each event is in trials.jsonl: keep it short, decisions wait for it."""

    def close(self, run: Run) -> str | None:
        """Called after all other files are written, also after an interruption; a line for people, or None."""


class Loggers:
    """Several loggers of which none can harm the run."""

    def __init__(self, loggers: Sequence[Logger], log: Callable[[str], None]) -> None:
        self._loggers = list(loggers)
        self._log = log

    def start(self, folder: RunFolder) -> None:
        """Start all."""
        for logger in [*self._loggers]:
            self._call(logger, partial(logger.start, folder))

    def on_event(self, event: Event) -> None:
        """Pass an event on to all."""
        for logger in [*self._loggers]:
            self._call(logger, partial(logger.on_event, event))

    def close(self, run: Run) -> list[str]:
        """Close all that are left, once; their lines for people."""
        lines = [self._call(logger, partial(logger.close, run)) for logger in [*self._loggers]]
        self._loggers.clear()
        return [line for line in lines if line]

    def _call(self, logger: Logger, call: Callable[[], str | None]) -> str | None:
        try:
            return call()
        except Exception as error:
            self._loggers.remove(logger)
            self._log(f"{type(logger).__name__} is switched off: {type(error).__name__}: {error}")
            return None
