"""Ctrl-C and SIGTERM while a sweep runs: the first one ends it with its state saved, the second one at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

CAUGHT = (signal.SIGINT, signal.SIGTERM)


class SignalHandler:
    """The first signal sets `reason`; `at_once` is called before the second one ends the process."""

    def __init__(self, at_once: Callable[[], None]) -> None:
        self.reason: str | None = None
        self._at_once = at_once
        self._raises = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Catch signals for a while; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in CAUGHT}
        self.catch()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def catch(self) -> None:
        """Install our handlers again, where another library has replaced them."""
        if threading.current_thread() is threading.main_thread():
            for number in CAUGHT:
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

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.reason is not None:
            self._at_once()
            os._exit(130)
        self.reason = f"interrupted by {signal.Signals(number).name}"
        if self._raises:
            raise KeyboardInterrupt
