"""One logged number, and what every reader of a log file has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

PRINTED = re.compile(r"[a-zA-Z_][\w.]*\(([^,()]+)(?:,[^()]*)?\)")
"""np.float64(0.5), tensor(0.5, device='cuda:0')"""


class Point(NamedTuple):
    """A value of a tag. `step` is None where the log has none; `time` is seconds since 1970, or None."""

    step: int | None
    tag: str
    value: float
    time: float | None = None


class LogReader(Protocol):
    """Reads one file piece by piece."""

    def read(self, *, final: bool = False) -> list[Point]:
        """The points added since the last call; `final`: the file has ended, so a last line without its end counts."""

    @property
    def position(self) -> Mapping[str, object]:
        """How far the file was read, as plain data; the constructor takes it back."""


def number(value: object) -> float | None:
    """A number, also one in words such as `nan` or `1e-3`; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        printed = PRINTED.fullmatch(value)
        try:
            return float(printed.group(1) if printed else value)
        except ValueError:
            return None
    return None


def flattened(value: object, prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a nested mapping, by names joined with '/'."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from flattened(entry, f"{prefix}/{key}" if prefix else str(key))
        return
    found = number(value)
    if found is not None and prefix:
        yield prefix, found


def step_in(row: Mapping[str, object], name: str | None) -> int | None:
    """The step of a row: its column `name`, or `step`, `global_step` or `epoch`."""
    for key in (name,) if name else ("step", "global_step", "_step", "epoch"):
        value = number(row.get(str(key)))
        if value is not None and value == value // 1:
            return int(value)
    return None


MARK_BYTES = 32


class Tail:
    """The bytes added to a file since the last look; notices when the file was replaced, cut or removed."""

    def __init__(self, path: Path, position: Mapping[str, object] | None = None) -> None:
        given = position or {}
        self.path = path
        self.offset = int(str(given.get("offset", 0)))
        self._mark = bytes.fromhex(str(given.get("mark", "")))

    @property
    def position(self) -> dict[str, object]:
        """How far the file was read."""
        return {"offset": self.offset, "mark": self._mark.hex()}

    def look(self) -> tuple[bytes, bool]:
        """What stands behind the last taken byte, and whether that is the file from its beginning once more."""
        try:
            with self.path.open("rb") as file:
                restarted = False
                if self.offset:
                    file.seek(self.offset - len(self._mark))
                    restarted = file.read(len(self._mark)) != self._mark
                if restarted:
                    self.offset, self._mark = 0, b""
                file.seek(self.offset)
                return file.read(), restarted
        except OSError:  # not there yet, or deleted by the trainer: what was read stays read
            return b"", False

    def take(self, content: bytes) -> None:
        """`content`, the beginning of what `look` returned, is dealt with."""
        if content:
            self.offset += len(content)
            self._mark = (self._mark + content)[-MARK_BYTES:]


class LineTail:
    """The whole lines added to a text file. A file that was written anew with the same beginning yields its new lines
    only; one with other content yields all its lines."""

    def __init__(self, path: Path, position: Mapping[str, object] | None = None) -> None:
        given = position or {}
        self._tail = Tail(path, given)
        self._lines = int(str(given.get("lines", 0)))
        self._first = str(given.get("first", ""))

    @property
    def position(self) -> dict[str, object]:
        """How far the file was read."""
        return {**self._tail.position, "lines": self._lines, "first": self._first}

    @property
    def path(self) -> Path:
        """The file."""
        return self._tail.path

    def lines(self, *, final: bool = False, first_index: int = 0) -> list[str]:
        """New lines without their ends. `first_index` is the line by which a rewritten file is recognised."""
        content, restarted = self._tail.look()
        whole = content if final else content[: content.rfind(b"\n") + 1]
        self._tail.take(whole)
        lines = whole.decode("utf-8", errors="replace").split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        lines = [line.rstrip("\r") for line in lines]
        if restarted:
            same = len(lines) > first_index and lines[first_index][:200] == self._first
            lines, skipped = (lines[self._lines :], self._lines) if same else (lines, 0)
            self._lines = skipped
        if self._lines <= first_index < self._lines + len(lines):
            self._first = lines[first_index - self._lines][:200]
        self._lines += len(lines)
        return lines


def json_object(line: str) -> Mapping[str, object] | None:
    """The JSON object on a line, with NaN and Infinity allowed; None for anything else."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, Mapping) else None
