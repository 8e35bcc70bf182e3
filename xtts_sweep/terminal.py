"""Where lines for people go, and what they see while they wait."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any


def printer(as_json: bool) -> Callable[[str], None]:
    """Where lines for people go: standard output, or standard error where JSON is printed."""
    return lambda line: print(line, file=sys.stderr if as_json else sys.stdout, flush=True)


def warn(line: str) -> None:
    """Print a line that is not what was asked for: on standard error."""
    print(line, file=sys.stderr, flush=True)


def escape_what_cannot_be_shown() -> None:
    """Let a terminal or file of a small encoding get \\u escapes instead of an error in the middle of a sweep."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def display(as_json: bool) -> Any:
    """What shows a sweep's progress: a live table on a terminal, lines elsewhere, nothing where JSON is printed."""
    from sweeps.run.progress import Display, display_for_terminal

    return Display() if as_json else display_for_terminal()


class PreparationProgress:
    """A bar for each stage on a terminal, a line for each stage elsewhere; on standard error."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None

    def __enter__(self) -> PreparationProgress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.start()
        return self

    def __call__(self, done: int, total: int, what: str) -> None:
        """One step further."""
        new = what != self._stage
        self._stage = what
        if self._bar is None:
            if new:
                print(f"{what} ...", file=sys.stderr, flush=True)
            return
        if new:
            self._task = self._bar.add_task(what, total=total)
        self._bar.update(self._task, completed=done, total=total)

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()
