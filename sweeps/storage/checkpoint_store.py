"""Where the checkpoints of a run's trials are: in folders of this machine, or in a storage that all nodes reach."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from sweeps.common.atomic_file import replacing
from sweeps.storage.checkpoint import BEST, LAST, Checkpoint, load_checkpoint, save_checkpoint
from sweeps.storage.object_store import Storage


class CheckpointStore(Protocol):
    """A trial's last checkpoint, from which it resumes, and its best one, which may be exported.

    OSError where something cannot be written; loading raises FileNotFoundError or UnreadableCheckpointError.
    """

    def load_last(self, trial_id: str) -> Checkpoint: ...

    def load_best(self, trial_id: str) -> Checkpoint: ...

    def save(self, trial_id: str, checkpoint: Checkpoint, *, best: bool) -> None:
        """Keep it as the last one, and as the best one too where it is that."""

    def make_last_best(self, trial_id: str) -> None:
        """The last one is the best one; a worker may have died between the two."""

    def has_best(self, trial_id: str) -> bool: ...

    def drop_last(self, trial_id: str) -> None: ...

    def drop(self, trial_id: str) -> None: ...

    def trials(self) -> set[str]:
        """The trials of which anything is kept."""

    def forget_half_written(self) -> None:
        """Remove what workers that were killed left behind; for when no worker runs."""


def checkpoint_store_at(place: str) -> CheckpointStore:
    """The store at `place`: a folder's path, or URI#FOLDER of a storage."""
    uri, separator, folder = place.partition("#")
    return RemoteCheckpointStore(_storage(uri), folder) if separator else LocalCheckpointStore(Path(place))


@lru_cache(maxsize=4)
def _storage(uri: str) -> Storage:
    """A worker that trains one trial after the other keeps its connections."""
    return Storage(uri)


class LocalCheckpointStore:
    """A folder a trial."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load_last(self, trial_id: str) -> Checkpoint:
        """The newest whole one; what a killed worker left half-written goes."""
        for half_written in (self._folder / trial_id).glob(".*.tmp"):
            half_written.unlink(missing_ok=True)
        return load_checkpoint(self._folder / trial_id / LAST)

    def load_best(self, trial_id: str) -> Checkpoint:
        return load_checkpoint(self._folder / trial_id / BEST)

    def save(self, trial_id: str, checkpoint: Checkpoint, *, best: bool) -> None:
        """Replace the last one; the best one is a second name for the same file."""
        save_checkpoint(self._folder / trial_id / LAST, checkpoint)
        if best:
            self.make_last_best(trial_id)

    def make_last_best(self, trial_id: str) -> None:
        _link(self._folder / trial_id / LAST, self._folder / trial_id / BEST)

    def has_best(self, trial_id: str) -> bool:
        return (self._folder / trial_id / BEST).is_file()

    def drop_last(self, trial_id: str) -> None:
        (self._folder / trial_id / LAST).unlink(missing_ok=True)

    def drop(self, trial_id: str) -> None:
        shutil.rmtree(self._folder / trial_id, ignore_errors=True)

    def trials(self) -> set[str]:
        with contextlib.suppress(FileNotFoundError):
            return {path.name for path in self._folder.iterdir()}
        return set()

    def forget_half_written(self) -> None:
        """In the folders of trials that will not be loaded again, too."""
        for half_written in self._folder.glob("*/.*.tmp"):
            half_written.unlink(missing_ok=True)


class RemoteCheckpointStore:
    """Objects of a storage, written and read through a temporary file of this node."""

    def __init__(self, storage: Storage, folder: str) -> None:
        self._storage, self._folder = storage, folder

    def forget_half_written(self) -> None:
        """Nothing: an object is there whole or not at all."""

    def load_last(self, trial_id: str) -> Checkpoint:
        return self._load(trial_id, LAST)

    def load_best(self, trial_id: str) -> Checkpoint:
        return self._load(trial_id, BEST)

    def save(self, trial_id: str, checkpoint: Checkpoint, *, best: bool) -> None:
        """Replace the last one, then the best one by a copy that the storage makes itself."""
        with tempfile.TemporaryDirectory(prefix="checkpoint-") as room:
            path = Path(room) / LAST
            save_checkpoint(path, checkpoint)
            self._storage.put_file(self._name(trial_id, LAST), path)
        if best:
            self.make_last_best(trial_id)

    def make_last_best(self, trial_id: str) -> None:
        """Copy it within the storage."""
        self._storage.copy(self._name(trial_id, LAST), self._name(trial_id, BEST))

    def has_best(self, trial_id: str) -> bool:
        return self._name(trial_id, BEST) in self._storage.names(f"{self._folder}/{trial_id}")

    def drop_last(self, trial_id: str) -> None:
        self._storage.delete(self._name(trial_id, LAST))

    def drop(self, trial_id: str) -> None:
        for name in self._storage.names(f"{self._folder}/{trial_id}"):
            self._storage.delete(name)

    def trials(self) -> set[str]:
        start = len(self._folder) + 1
        return {name[start:].partition("/")[0] for name in self._storage.names(self._folder)}

    def _load(self, trial_id: str, which: str) -> Checkpoint:
        with tempfile.TemporaryDirectory(prefix="checkpoint-") as room:
            path = Path(room) / which
            self._storage.get_file(self._name(trial_id, which), path)
            return load_checkpoint(path)

    def _name(self, trial_id: str, which: str) -> str:
        return f"{self._folder}/{trial_id}/{which}"


def _link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, which is only ever replaced, never written to."""
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
