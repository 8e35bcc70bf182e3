"""trials.jsonl in a storage, where nothing can be appended to: numbered segments, each written once and never again.

A process that resumes a run opens a session (`journal/0002-1a2b3c4d.json`), which says after which segment of
which session it continues, and then writes its own segments (`journal/0002-1a2b3c4d-000001.jsonl`). The journal is the
newest session's chain. What an older process writes after it was succeeded belongs to no chain: it can spoil nothing,
and stops as soon as it sees its successor.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sweeps.common.errors import RequestError, SweepFailed
from sweeps.storage.object_store import Storage

LINGER_SECONDS = 1.0  # events of a second share a segment: an hour makes at most 3,600 objects
WATCH_SECONDS = 15.0
READERS = 16
SESSION = re.compile(r"(\d{4})-([0-9a-f]{8})")
SEGMENT = re.compile(r"(\d{4}-[0-9a-f]{8})-(\d{6})\.jsonl")


@dataclass(frozen=True)
class Session:
    """One process's part of a journal; `after` is the session before it, of which the first `segments` count."""

    name: str
    after: str | None
    segments: int
    host: str
    since: float


@dataclass(frozen=True)
class Chain:
    """A whole journal: its bytes, and the session and the segment that it ends with."""

    content: bytes
    last: Session | None
    segments: int


def read_chain(storage: Storage, folder: str) -> Chain:
    """The journal below `folder`; RequestError where a part of it is missing."""
    sessions, segments = _listed(storage, folder)
    newest = _newest(sessions)
    if newest is None:
        return Chain(b"", None, 0)
    sizes = {name: len(numbers) for name, numbers in segments.items()}
    wanted: list[str] = []
    session, until = _session(storage, folder, newest), sizes.get(newest, 0)
    end = (session, until)
    while True:
        have = segments.get(session.name, [])[:until]
        if have != list(range(1, until + 1)):
            raise RequestError(
                f"{storage.uri}/{folder}: segments of {session.name} are missing; the journal is damaged"
            )
        wanted = [f"{folder}/{session.name}-{number:06d}.jsonl" for number in have] + wanted
        if session.after is None:
            break
        until = session.segments
        session = _session(storage, folder, session.after)
    with ThreadPoolExecutor(READERS) as readers:
        return Chain(b"".join(readers.map(storage.get, wanted)), *end)


class RemoteJournal:
    """This process's session: lines are taken at once and written, in order and in groups, by a thread of its own.

    An event is in the storage a second or so after it is on this machine's disk. What a power cut takes of that is made
    good by the checkpoints, which hold every report of their trial.
    """

    def __init__(self, storage: Storage, folder: str, chain: Chain) -> None:
        """Succeed `chain`'s session; SweepFailed where another process does so at the same moment."""
        self._storage, self._folder = storage, folder
        number = 1 if chain.last is None else int(chain.last.name[:4]) + 1
        self.name = f"{number:04d}-{secrets.token_hex(4)}"
        about = {
            "after": None if chain.last is None else chain.last.name,
            "segments": chain.segments,
            "host": socket.gethostname(),
            "since": round(time.time(), 3),
        }
        storage.put(f"{folder}/{self.name}.json", json.dumps(about).encode())
        self._written = 0
        self._lines: list[bytes] = []
        self._taken = self._kept = 0
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._hurried = self._closed = False
        self._watch()
        self._thread = threading.Thread(target=self._write_on, name="stored-journal", daemon=True)
        self._thread.start()

    def add(self, lines: bytes) -> None:
        """Take whole lines; SweepFailed where what came before could not be written."""
        with self._changed:
            self._raise()
            self._lines.append(lines)
            self._taken += 1
            self._changed.notify_all()

    def flush(self, seconds: float | None = None) -> None:
        """Wait until all lines are in the storage; SweepFailed where they cannot be written, or not so soon."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: self._kept == self._taken or self._error is not None, seconds)
            self._hurried = False
            self._raise()
            if not done:
                raise SweepFailed(f"{self._storage.uri}: the newest events could not be written within {seconds:.0f} s")

    def close(self) -> None:
        """Let the thread end; what was not flushed may be lost."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(1.0)

    def _raise(self) -> None:
        if isinstance(self._error, SweepFailed):
            raise self._error
        if self._error is not None:
            raise SweepFailed(
                f"{self._storage.uri}: the journal cannot be written: {self._error}; "
                "nothing is lost: resume the run when the storage answers"
            ) from self._error

    def _write_on(self) -> None:
        watched = time.monotonic()
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._lines or self._closed, WATCH_SECONDS)
                    if self._closed:
                        return
                    if self._lines:
                        self._changed.wait_for(lambda: self._hurried or self._closed, LINGER_SECONDS)
                    lines, self._lines = self._lines, []
                if lines:
                    name = f"{self._folder}/{self.name}-{self._written + 1:06d}.jsonl"
                    self._storage.put(name, b"".join(lines))
                    self._written += 1
                    with self._changed:
                        self._kept += len(lines)
                        self._changed.notify_all()
                if time.monotonic() - watched >= WATCH_SECONDS:
                    self._watch()
                    watched = time.monotonic()
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _watch(self) -> None:
        """SweepFailed where another session has succeeded this one."""
        newest = _newest(_listed(self._storage, self._folder)[0])
        if newest is None or newest == self.name:
            return
        with contextlib.suppress(RequestError, FileNotFoundError):
            other = _session(self._storage, self._folder, newest)
            raise SweepFailed(
                f"{self._storage.uri}/{self._folder}: a process on {other.host} has resumed this run at "
                f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(other.since))}; this one ends"
            )


def _listed(storage: Storage, folder: str) -> tuple[Sequence[str], dict[str, list[int]]]:
    """The names of the sessions, and the numbers of each one's segments."""
    sessions: list[str] = []
    segments: dict[str, list[int]] = {}
    for name in storage.names(folder):
        file = name.rpartition("/")[2]
        if match := SEGMENT.fullmatch(file):
            segments.setdefault(match[1], []).append(int(match[2]))
        elif file.endswith(".json") and SESSION.fullmatch(file.removesuffix(".json")):
            sessions.append(file.removesuffix(".json"))
    return sessions, {name: sorted(numbers) for name, numbers in segments.items()}


def _newest(sessions: Sequence[str]) -> str | None:
    """The session with the highest number; where two began at once, both sides see the same one win."""
    return max(sessions, default=None, key=lambda name: (int(name[:4]), [-ord(letter) for letter in name]))


def _session(storage: Storage, folder: str, name: str) -> Session:
    path = f"{folder}/{name}.json"
    try:
        about = json.loads(storage.get(path))
        return Session(name, about["after"], int(about["segments"]), str(about["host"]), float(about["since"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{storage.uri}/{path}: is missing or damaged ({error})") from error
