"""A Ctrl-C that Python would lose: KeyboardInterrupt raised in a finaliser is printed and dropped."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

REPEATED_AFTER_SECONDS = 0.01


@contextmanager
def repeated_where_lost(on_lost: Callable[[], None] = lambda: None) -> Iterator[None]:
    """For a while, send SIGINT again where its KeyboardInterrupt was raised in a finaliser of whatever library.

    A finaliser is `__del__` or a callback of a weak reference. `on_lost` is called first.
    """
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            before(unraisable)
            return
        on_lost()
        # Not from here: the finaliser's caller has to continue first.
        again = threading.Timer(REPEATED_AFTER_SECONDS, os.kill, (os.getpid(), signal.SIGINT))
        again.daemon = True
        again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
