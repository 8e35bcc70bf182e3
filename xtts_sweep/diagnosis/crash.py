"""The error that ended a training, from the end of its console output."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from sweeps.external.readers.console import ESCAPES, ConsoleParser
from xtts.diagnostics.logged_run import Crash, CrashKind
from xtts.diagnostics.logged_tags import name_of

TAIL_BYTES = 1 << 17
TOGETHER_SECONDS = 60.0
"""Output that is older than the newest log by more is of an earlier attempt"""
LONGEST = 240
TRACEBACK = "Traceback (most recent call last)"
RANK = re.compile(r"^\[rank\d+\]:\s?")
RAISED = re.compile(r"^(?:\w+\.)*[A-Z]\w*(?::|$)")
"""The line of a traceback that names the exception"""
DEAD = r"(?:Killed|Segmentation fault|Aborted|Bus error)"
ENDED = re.compile(
    rf"^{DEAD}(?: \(core dumped\))?\s*$|^\S+: line \d+: +\d+ {DEAD}\b|^Fatal Python error: |^terminate called"
)
"""What a shell or the interpreter prints of a program that died"""
KINDS: tuple[tuple[CrashKind, re.Pattern[str]], ...] = (
    ("interrupted", re.compile(r"KeyboardInterrupt|SystemExit: (0|130)\b")),
    ("memory", re.compile(r"out of memory|OutOfMemory|OOM|MemoryError|Cannot allocate memory|ResourceExhausted", re.I)),
    ("killed", re.compile(r"Killed|DataLoader worker .* killed")),
)


def crash_in(files: Iterable[Path], newest: float) -> Crash | None:
    """The error at the end of one of the files, if no losses follow it; `newest`: when the newest log was written."""
    for file in files:
        try:
            if file.stat().st_mtime >= newest - TOGETHER_SECONDS and (error := _last_error(_tail(file))) is not None:
                kind: CrashKind = next((kind for kind, pattern in KINDS if pattern.search(error)), "error")
                return Crash(error, kind, str(file))
        except OSError:
            continue
    return None


def _tail(file: Path) -> list[str]:
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - TAIL_BYTES))
        text = opened.read().decode("utf-8", errors="replace")
    return [RANK.sub("", line) for line in ESCAPES.sub("", text).replace("\r", "\n").split("\n")]


def _last_error(lines: list[str]) -> str | None:
    """The last line that names an exception below a traceback, or that a shell prints for a dead program."""
    found, in_traceback = None, False
    for at, line in enumerate(lines):
        if TRACEBACK in line:
            in_traceback = True
        elif (in_traceback and RAISED.match(line)) or ENDED.match(line):
            found, in_traceback = at, False
    if found is None or _training_continues(lines[found + 1 :]):
        return None
    message = " ".join(lines[found].split())
    if message.endswith(":") and len(lines) > found + 1:  # the message stands on the next line
        message += " " + " ".join(lines[found + 1].split())
    return message[:LONGEST].strip()


def _training_continues(lines: list[str]) -> bool:
    """Whether losses were printed: an error in a data loader's thread does not end a training."""
    names = (name_of(point.tag) for point in ConsoleParser().points(lines))
    return any(name is not None and "/" in name for name in names)
