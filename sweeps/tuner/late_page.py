"""The page of a run of very many trials, made beside the driver's own work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

REST = 19.0  # times as long as the last page took: it is made in a twentieth of the time


class LatePage:
    """Makes one page at a time in a thread of its own, because decisions must not wait for it.

    What goes wrong in it is raised by the next call.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._rests_until = 0.0

    def make(self, page: Callable[[], object]) -> None:
        """Begin to make the page, if none is being made and the last one was not made just now."""
        self._raise()
        if (self._thread is None or not self._thread.is_alive()) and time.monotonic() >= self._rests_until:
            self._thread = threading.Thread(target=self._make, args=(page,), name="page")
            self._thread.start()

    def wait(self) -> None:
        """Until the page that is being made is there."""
        if self._thread is not None:
            self._thread.join()
        self._raise()

    def _make(self, page: Callable[[], object]) -> None:
        began = time.monotonic()
        try:
            page()
        except BaseException as error:
            self._error = error
        self._rests_until = time.monotonic() + REST * (time.monotonic() - began)

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
