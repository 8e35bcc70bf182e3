"""A run in a storage: enough to resume or read it on another machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml

from sweeps.common.atomic_file import replacing
from sweeps.common.errors import RequestError, SweepFailed, nearest
from sweeps.run.folder import RunFolder, check_name
from sweeps.storage.checkpoint import BEST, LAST
from sweeps.storage.object_store import Storage, StorageUnreachable, opened, storage_uri
from sweeps.storage.remote_journal import RemoteJournal, read_chain

SETTINGS = "sweep.yaml"


class RemoteRun:
    """The objects of one run: settings, journal, checkpoints, and in the end the files for people."""

    def __init__(self, storage: Storage, name: str) -> None:
        self.storage = storage
        self.name = name
        self._journal = f"{name}/journal"

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return f"{self.name}/{SETTINGS}" in self.storage.names(self.name)

    @property
    def checkpoints(self) -> str:
        """As `checkpoint_store_at` takes it."""
        return f"{self.storage.uri}#{self.name}/checkpoints"

    def begin(self, folder: RunFolder) -> RemoteJournal:
        """Continue the journal from what this machine's folder holds; RequestError where the two do not agree."""
        here = _whole_lines(folder)
        chain = read_chain(self.storage, self._journal)
        if not here.startswith(chain.content):
            raise RequestError(_split(self, folder))
        journal = RemoteJournal(self.storage, self._journal, chain)
        if missing := here[len(chain.content) :]:
            journal.add(missing)
        return journal

    def put_settings(self, folder: RunFolder) -> None:
        """sweep.yaml, with which a run begins; SweepFailed where it cannot be written."""
        self._put(folder.sweep_yaml, SETTINGS)

    def put_files(self, folder: RunFolder) -> None:
        """What was made from the records, best/ among it; SweepFailed where it cannot be written."""
        for path in (folder.sweep_yaml, folder.trials_csv, folder.best_config, folder.verdict, folder.report):
            if path.is_file():
                self._put(path, path.name)
        for path in sorted(folder.best.rglob("*")):
            if path.is_file():
                self._put(path, path.relative_to(folder.path).as_posix())

    def put_checkpoints(self, folder: RunFolder) -> None:
        """Those of a run that began without a storage and is resumed with one."""
        for which in (LAST, BEST):
            for path in sorted(folder.checkpoints.glob(f"*/{which}")):
                self._put(path, f"checkpoints/{path.parent.name}/{which}")

    def fetch(self, output: Path) -> RunFolder:
        """The run's folder below `output`, brought up to what the storage holds; RequestError where there is no such
        run, or `output` holds another one of that name."""
        folder = RunFolder(output / check_name(self.name))
        if not self.exists:
            hint = nearest(self.name, remote_runs(self.storage))
            if folder.exists:
                hint = f"; {folder.path} has its records and can be resumed with another --storage"
            raise RequestError(f"{self.name}: there is no such run in {self.storage.uri}{hint}")
        settings = self.storage.get(f"{self.name}/{SETTINGS}")
        if folder.exists and _born(folder.sweep_yaml.read_bytes()) != _born(settings):
            raise RequestError(f"{folder.path}: is another run than {self.name} in {self.storage.uri}; move it away")
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RequestError(
                f"--output {output}: {folder.path} cannot be written: {error.strerror or error}"
            ) from error
        with folder.locked():
            self._fetch_into(folder, settings)
        return folder

    def _fetch_into(self, folder: RunFolder, settings: bytes) -> None:
        here, there = _whole_lines(folder), read_chain(self.storage, self._journal).content
        if not here.startswith(there) and not there.startswith(here):
            raise RequestError(_split(self, folder))
        if folder.exists and len(here) >= len(there):
            return
        for name in self.storage.names(self.name):
            relative = name.removeprefix(f"{self.name}/")
            if relative.split("/")[0] in ("journal", "checkpoints", SETTINGS):
                continue
            path = folder.path / relative
            if not path.resolve().is_relative_to(folder.path.resolve()):
                raise RequestError(f"{self.storage.uri}/{name}: points outside the run's folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            self.storage.get_file(name, path)
        # sweep.yaml last: with it the folder holds a run.
        for path, content in ((folder.trials_jsonl, there), (folder.sweep_yaml, settings)):
            with replacing(path) as temporary:
                temporary.write_bytes(content)

    def _put(self, path: Path, name: str) -> None:
        try:
            self.storage.put_file(f"{self.name}/{name}", path)
        except OSError as error:
            raise SweepFailed(
                f"{self.storage.uri}/{self.name}/{name}: cannot be written: {error}; it is whole in {path.parent}"
            ) from error


def remote_runs(storage: Storage) -> list[str]:
    """The names of the runs in a storage, the newest last."""
    found = [(seconds, name.split("/")[0]) for name, seconds in storage.found("") if name.count("/") == 1]
    settings = {name for name in storage.names("") if name.endswith(f"/{SETTINGS}")}
    return [name for _, name in sorted(found) if f"{name}/{SETTINGS}" in settings]


def remote_run(uri: str, name: str, log: Callable[[str], None] = lambda note: None) -> RemoteRun:
    """The place of a run, whether it is taken or not; RequestError where the storage cannot be used."""
    return RemoteRun(opened(storage_uri(uri), log=log), check_name(name))


def holds(uri: str, name: str) -> bool:
    """Whether a storage holds a run of that name; RequestError where it does not answer."""
    try:
        return RemoteRun(Storage(storage_uri(uri), patience=30.0), check_name(name)).exists
    except StorageUnreachable as error:
        raise RequestError(f"--storage {uri}: {error}") from error


def fetched(uri: str, name: str | None, output: Path) -> RunFolder:
    """The folder of a run that lies in a storage, the newest where no name is given."""
    storage = Storage(storage_uri(uri), patience=30.0)
    try:
        if name is None:
            known = remote_runs(storage)
            if not known:
                raise RequestError(f"--storage {uri}: there is no run here yet")
            name = known[-1]
        return RemoteRun(storage, check_name(name)).fetch(output)
    except StorageUnreachable as error:
        raise RequestError(f"--storage {uri}: {error}") from error


def _whole_lines(folder: RunFolder) -> bytes:
    """The journal here without a torn last line, which no other machine has."""
    try:
        content = folder.trials_jsonl.read_bytes()
    except FileNotFoundError:
        return b""
    return content[: content.rfind(b"\n") + 1]


def _split(run: RemoteRun, folder: RunFolder) -> str:
    return (
        f"{folder.trials_jsonl}: differs from {run.storage.uri}/{run.name}: the run was resumed from both; "
        "move one of them away"
    )


def _born(settings: bytes) -> object:
    try:
        content = yaml.safe_load(settings)
    except yaml.YAMLError as error:
        raise RequestError(f"{SETTINGS}: is damaged: {' '.join(str(error).split())}") from error
    return (content.get("name"), content.get("created")) if isinstance(content, dict) else None
