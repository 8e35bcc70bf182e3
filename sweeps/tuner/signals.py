"""Ctrl-C, SIGTERM or a closed terminal: the first ends a sweep with its state saved, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from sweeps.common.interrupts import repeated_where_lost

CAUGHT = (signal.SIGINT, signal.SIGTERM, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))
INTERRUPTED = 130


def is_ignored_hangup(number: int) -> bool:
    """Whether this is SIGHUP and the program was started by nohup, to outlive its terminal."""
    return number not in (signal.SIGINT, signal.SIGTERM) and signal.getsignal(number) == signal.SIG_IGN


class SignalHandler:
    """The first signal sets `reason`; `at_once` is called before the second one ends the process.

    With `patience`, so many seconds after the first signal `last_words` is called and the process ends, whatever it
    waits for: the journal and the checkpoints are whole at every moment.
    """

    def __init__(
        self,
        at_once: Callable[[], None],
        patience: float | None = None,
        last_words: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.reason: str | None = None
        self._at_once = at_once
        self._patience = patience
        self._last_words = last_words
        self._raises = False
        self._lost = False
        """Whether the next signal repeats one whose KeyboardInterrupt was lost"""

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Catch signals for a while; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in CAUGHT}
        self.catch()
        try:
            with repeated_where_lost(self._on_lost):
                yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def catch(self) -> None:
        """Install our handlers again, where another library has replaced them."""
        if threading.current_thread() is threading.main_thread():
            for number in CAUGHT:
                if not is_ignored_hangup(number):
                    signal.signal(number, self._on_signal)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """For a while a signal raises KeyboardInterrupt where nothing polls `reason`: while Ray starts."""
        if self.reason is not None:
            raise KeyboardInterrupt
        self._raises = True
        try:
            yield
        finally:
            self._raises = False

    def raise_from_now(self) -> None:
        """From now on a signal raises KeyboardInterrupt, because nothing polls `reason` any more."""
        self._raises = True

    def _on_lost(self) -> None:
        self._lost = True

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._lost:
            self._lost = False
            raise KeyboardInterrupt
        if self.reason is not None:
            try:
                self._at_once()
                self._last_words(self.reason)
            finally:
                os._exit(INTERRUPTED)
        self.reason = f"interrupted by {signal.Signals(number).name}"
        if self._patience is not None:
            threading.Thread(target=self._end_after, args=(self._patience, self.reason), daemon=True).start()
        if self._raises:
            raise KeyboardInterrupt

    def _end_after(self, seconds: float, reason: str) -> None:
        time.sleep(seconds)
        try:
            self._last_words(reason)
        finally:
            os._exit(INTERRUPTED)
