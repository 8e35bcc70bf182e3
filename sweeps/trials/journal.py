"""trials.jsonl, the source of truth: append-only, a JSON object a line, on disk before anything acts on it."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from sweeps.common.atomic_file import write_failure
from sweeps.common.errors import RequestError
from sweeps.trials.event import Event, event_problem
from sweeps.trials.record import TrialRecord, add_event, records_from_events


def read_events(path: Path) -> list[Event]:
    """The events of a journal; a torn last line is left out, any other line that is not an event is a RequestError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror or error}") from error
    return _parse(content, path)[0]


def read(path: Path) -> list[TrialRecord]:
    """The trials of a journal, in the order of their start."""
    return records_from_events(read_events(path))


class Journal:
    """An open trials.jsonl with the records that it makes; opening it removes a torn last line."""

    def __init__(
        self,
        path: Path,
        on_line: Callable[[bytes], None] = lambda line: None,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        """`on_line` and `on_event` are called for each new event once it is on disk."""
        self._path = path
        self._on_line = on_line
        self._on_event = on_event
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            content = b"".join(iter(lambda: os.read(self._file, 1 << 20), b""))
        except OSError as error:
            raise RequestError(f"{path}: cannot be opened: {error.strerror or error}") from error
        events, whole = _parse(content, path)
        self.torn = whole < len(content)
        self._size = whole
        self._by_id: dict[str, TrialRecord] = {}
        self._events: list[Event] = events
        for event in events:
            add_event(self._by_id, event)
        if self.torn:
            os.ftruncate(self._file, whole)

    @property
    def events(self) -> Sequence[Event]:
        """All events so far."""
        return self._events

    @property
    def records(self) -> list[TrialRecord]:
        """All trials so far, in the order of their start."""
        return list(self._by_id.values())

    def record(self, trial_id: str) -> TrialRecord:
        """The trial of that id."""
        return self._by_id[trial_id]

    def append(self, event: str, trial_id: str | None, /, **details: object) -> Event:
        """Write one event to disk and take it into the records; SweepFailed where it cannot be written."""
        given: dict[str, object] = {"event": event, "trial_id": trial_id, "time": round(time.time(), 3)}
        given |= {name: plain(value) for name, value in details.items() if name not in given}
        line = (json.dumps(given, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "backslashreplace")
        try:
            written = os.pwrite(self._file, line, self._size)
            while written < len(line):
                written += os.pwrite(self._file, line[written:], self._size + written)
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise write_failure(self._path, error) from error
        self._size += len(line)
        self._events.append(given)
        add_event(self._by_id, given)
        self._on_line(line)
        self._on_event(given)
        return given

    def start(self, trial_id: str, mode: str, **about: object) -> TrialRecord:
        """Write down a new trial; `mode` is left out where the objective is minimised."""
        self.append("trial_started", trial_id, **about, **({"mode": mode} if mode != "min" else {}))
        return self.record(trial_id)

    def new_id(self, letter: str) -> str:
        """The next id of a kind: c0001 for confirmation runs, r0001 for baselines."""
        return f"{letter}{sum(trial_id.startswith(letter) for trial_id in self._by_id) + 1:04d}"

    def end(
        self, trial_id: str, status: str, reason: str, rung: int | None = None, *, environment: bool | None = None
    ) -> TrialRecord:
        """Write down how a trial ended, at which rung, or (`environment`) whether it failed by no fault of its own.

        Its record after that.
        """
        about = {"status": status, "stop_reason": reason, "epoch": self.record(trial_id).epochs, "rung": rung}
        if environment is not None:
            about["environment"] = environment
        self.append("trial_ended", trial_id, **about)
        return self.record(trial_id)

    def close(self) -> None:
        """Close the file; every event is on disk already."""
        os.close(self._file)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def plain(value: object) -> object:
    """`value` as JSON can hold it: numbers that are not finite become null, anything strange its text."""
    if isinstance(value, bool) or value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    item = getattr(value, "item", None)  # a NumPy or torch number
    return plain(item()) if callable(item) else str(value)


def _parse(content: bytes, path: Path) -> tuple[list[Event], int]:
    events: list[Event] = []
    whole = 0
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break
        try:
            event = json.loads(line)
            if not isinstance(event, dict) or not isinstance(event.get("event"), str):
                raise ValueError("it is no event")
            problem = event_problem(event)
            if problem is not None:
                raise ValueError(problem)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"{path}, line {number}: is damaged ({error}); remove that line") from error
        events.append(event)
        whole += len(line)
    return events, whole
