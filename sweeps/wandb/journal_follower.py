"""Reads trials.jsonl while another process writes it: whole lines only, each once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from sweeps.trials.record import Event


class JournalFollower:
    """Events from byte `start` of the journal on; what stands before it is the past."""

    def __init__(self, path: Path, start: int = 0) -> None:
        self._path = path
        self._at = start

    def past(self) -> list[Event]:
        """The events before the place where following begins."""
        return list(_events(self._read(0)[: self._at]))

    def new(self) -> list[Event]:
        """The events that were written since the last call."""
        content = self._read(self._at)
        whole = content.rfind(b"\n") + 1
        self._at += whole
        return list(_events(content[:whole]))

    def _read(self, start: int) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                return file.read()
        except FileNotFoundError:
            return b""


def end_of(path: Path) -> int:
    """The byte behind the journal's last whole line, 0 where there is no journal yet."""
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0


def _events(content: bytes) -> Iterator[Event]:
    for line in content.splitlines():
        try:
            event = json.loads(line)
        except ValueError:  # the sweep itself says what is wrong with its journal
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            yield event
