"""A place that every node of a sweep can reach: a folder they all mount, or a bucket of an object store.

An object is written whole or not at all. What fails is tried again for `patience` seconds, because a sweep of days will
meet an hour in which its storage is slow, and waiting costs less than starting again.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from sweeps.common.atomic_file import replacing
from sweeps.common.errors import RequestError, one_line

SCHEMES = ("file", "s3", "gs")
SECRETS = ("access_key", "secret_key", "session_token", "access_token")
PATIENCE_SECONDS = 900.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.2, 15.0
LARGEST_COPY_BYTES = 4 << 30  # S3 copies up to 5 GB in one request
PROBE_SECONDS = 20.0
COPY_BYTES = 8 << 20  # in memory at a time
QUIET_SECONDS = 5.0  # shorter outages are not logged

Value = TypeVar("Value")


class StorageUnreachable(OSError):  # noqa: N818 - named for the state, as TimeoutExpired is
    """The storage did not answer within the patience."""


class Storage:
    """Objects by name ('checkpoints/t0001/last.safetensors') under one address.

    `log` is called once for each outage.
    """

    def __init__(
        self, uri: str, patience: float = PATIENCE_SECONDS, log: Callable[[str], None] = lambda note: None
    ) -> None:
        from pyarrow import ArrowInvalid, fs

        self.uri = uri
        self._patience = patience
        self._log = log
        try:
            filesystem, root = _retried(lambda: fs.FileSystem.from_uri(_tuned(uri)), patience, lambda error: None)
        except (ArrowInvalid, OSError, ValueError) as error:
            raise RequestError(f"--storage {uri}: {one_line(error)}") from error
        self._filesystem = filesystem
        self._root = Path(root) if isinstance(filesystem, fs.LocalFileSystem) else root

    def put(self, name: str, content: bytes) -> None:
        """Write an object, replacing one of that name."""
        self._tried(lambda: self._write(name, content))

    def put_file(self, name: str, source: Path) -> None:
        """Write an object with a file's content."""
        import pyarrow

        def put() -> None:
            if source.stat().st_size == 0:  # nothing to map
                self._write(name, b"")
                return
            with pyarrow.memory_map(str(source)) as mapped:
                self._write(name, mapped.read_buffer())

        self._tried(put)

    def get(self, name: str) -> bytes:
        """An object's content; FileNotFoundError where there is none."""

        def get() -> bytes:
            with self._filesystem.open_input_stream(self._path(name)) as stream:
                return bytes(stream.read())

        return self._tried(get)

    def get_file(self, name: str, target: Path) -> None:
        """Write an object's content to a file; FileNotFoundError where there is none."""

        def get() -> None:
            with self._filesystem.open_input_stream(self._path(name)) as stream, target.open("wb") as file:
                shutil.copyfileobj(stream, file, COPY_BYTES)

        self._tried(get)

    def copy(self, name: str, target: str) -> None:
        """Make `target` the same object, without its content passing through here if that can be; FileNotFoundError."""
        if isinstance(self._root, Path):
            self.put_file(target, Path(self._path(name)))
            return

        def copy() -> None:
            if (self._filesystem.get_file_info(self._path(name)).size or 0) > LARGEST_COPY_BYTES:
                with tempfile.TemporaryDirectory(prefix="copy-") as room:
                    self.get_file(name, Path(room) / "object")
                    self.put_file(target, Path(room) / "object")
                return
            try:
                self._filesystem.copy_file(self._path(name), self._path(target))
            except OSError as error:
                if self._is_missing(name):
                    raise FileNotFoundError(name) from error
                raise

        self._tried(copy)

    def names(self, under: str) -> list[str]:
        """The names of all objects below `under`, sorted; none where there is no such folder."""
        return sorted(name for name, _ in self.found(under))

    def found(self, under: str) -> Iterator[tuple[str, float]]:
        """Names below `under` with the time of their writing, in seconds since 1970."""
        from pyarrow import fs

        selector = fs.FileSelector(self._path(under), allow_not_found=True, recursive=True)
        infos = self._tried(lambda: self._filesystem.get_file_info(selector))
        prefix = len(self._path("")) + 1
        for info in infos:
            hidden = info.base_name.startswith(".") and info.base_name.endswith(".tmp")
            if info.type == fs.FileType.File and not hidden:
                yield info.path[prefix:], (info.mtime_ns or 0) / 1e9

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens where there is none."""
        try:
            self._tried(lambda: self._filesystem.delete_file(self._path(name)))
        except FileNotFoundError:
            return

    def _is_missing(self, name: str) -> bool:
        from pyarrow import fs

        return bool(self._filesystem.get_file_info(self._path(name)).type == fs.FileType.NotFound)

    def _path(self, name: str) -> str:
        return f"{str(self._root).rstrip('/')}/{name}".rstrip("/")

    def _write(self, name: str, content: Any) -> None:
        if isinstance(self._root, Path):
            _replace(Path(self._path(name)), content)
            return
        with self._filesystem.open_output_stream(self._path(name)) as stream:
            stream.write(content)

    def _tried(self, action: Callable[[], Value]) -> Value:
        logged = False

        def waits(error: Exception) -> None:
            nonlocal logged
            if not logged:
                self._log(
                    f"{self.uri} does not answer ({one_line(error)}); waiting up to {self._patience / 60:.0f} min"
                )
            logged = True

        return _retried(action, self._patience, waits)


def storage_uri(given: str) -> str:
    """An address as `Storage` takes it: a folder becomes a file:// address; RequestError says what is not accepted."""
    if not given.strip():
        raise RequestError(f"--storage {given!r}: expected a folder, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER")
    scheme, separator, rest = given.partition("://")
    if not separator:
        return Path(given).expanduser().absolute().as_uri()
    if scheme not in SCHEMES:
        raise RequestError(f"--storage {scheme}://...: expected a folder, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER")
    parts = urlsplit(given)
    if "@" in parts.netloc or set(parse_qs(parts.query)) & set(SECRETS):
        raise RequestError(
            f"--storage {scheme}://...: holds a key, which would be written to sweep.yaml; "
            "give it by the environment, a profile or the machine's role"
        )
    if not rest.strip("/"):
        raise RequestError(f"--storage {given}: names no bucket or folder")
    return given


def opened(uri: str, log: Callable[[str], None] = lambda note: None) -> Storage:
    """The storage, after something was written there and read back; RequestError where that fails."""
    probe = f".probe-{os.getpid()}-{random.getrandbits(32):08x}"
    trying = Storage(uri, patience=PROBE_SECONDS)
    try:
        trying.put(probe, b"xtts-sweep")
        same = trying.get(probe) == b"xtts-sweep"
        trying.delete(probe)
    except OSError as error:
        raise RequestError(f"--storage {uri}: cannot be written and read: {one_line(error)}") from error
    if not same:
        raise RequestError(f"--storage {uri}: gives back something else than what was written")
    return Storage(uri, log=log)


def _replace(path: Path, content: Any) -> None:
    """Write a file of a shared folder whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _tuned(uri: str) -> str:
    """A small object takes one request instead of the four of an upload in parts."""
    return f"{uri}{'&' if '?' in uri else '?'}allow_delayed_open=true" if uri.startswith("s3://") else uri


def _retried(action: Callable[[], Value], patience: float, waits: Callable[[Exception], None]) -> Value:
    begun, wait = time.monotonic(), FIRST_WAIT_SECONDS
    while True:
        try:
            return action()
        except FileNotFoundError:
            raise
        except OSError as error:
            waited = time.monotonic() - begun
            if waited + wait > patience:
                raise StorageUnreachable(f"no answer within {waited:.0f} s: {one_line(error)}") from error
            if waited > QUIET_SECONDS:
                waits(error)
        time.sleep(wait * random.uniform(0.7, 1.3))
        wait = min(2.0 * wait, LONGEST_WAIT_SECONDS)
