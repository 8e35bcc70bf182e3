"""Finds the recordings of a data set on disk, one listing per folder instead of one question per clip."""

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xtts.data.exclusion import Exclusion
from xtts.data.layouts import Layout, Row

_OTHER_SUFFIXES = (".flac", ".WAV", ".FLAC", "")


@dataclass(frozen=True)
class Recordings:
    """Recordings that are there, by clip: the rows they belong to, their paths, sizes and times of change."""

    rows: tuple[Row, ...]
    paths: tuple[str, ...]
    size: npt.NDArray[np.int64]
    mtime_ns: npt.NDArray[np.int64]
    exclusions: tuple[Exclusion, ...]

    def stamp(self, *settings: object) -> str:
        """Digest that changes when any recording, its place or one of the settings does."""
        digest = hashlib.sha256(repr(settings).encode())
        digest.update("\0".join(self.paths).encode("utf-8", "surrogateescape"))
        digest.update(self.size.tobytes())
        digest.update(self.mtime_ns.tobytes())
        return digest.hexdigest()


def find_recordings(layout: Layout, data_folders: tuple[Path, ...]) -> Recordings:
    """Each row's recording with size and time; rows without one, or with one outside the folders, are excluded."""
    folders = {str(folder) for folder in data_folders} | {row.base for row in layout.rows}
    roots = tuple({os.path.realpath(folder) for folder in folders})
    rows: list[Row] = []
    paths: list[str] = []
    sizes: list[int] = []
    times: list[int] = []
    exclusions = list(layout.exclusions)

    @cache
    def listing(folder: str) -> dict[str, os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return {entry.name: entry for entry in entries}
        except OSError:
            return {}

    @cache
    def is_inside(path: str) -> bool:
        real = os.path.realpath(path)
        return any(real == root or real.startswith(root + os.sep) for root in roots)

    for row in layout.rows:
        below, _, name = row.stem.rpartition("/")
        folder = f"{row.base}/{below}" if below else row.base
        entries = listing(folder)
        entry = entries.get(name + ".wav") or _otherwise_named(entries, name)
        if entry is None:
            exclusions.append(Exclusion(row.id, "missing", f"{folder}/{name}: no such .wav or .flac file"))
            continue
        if (below and not is_inside(folder)) or (entry.is_symlink() and not is_inside(entry.path)):
            detail = f"{entry.path} leads to {os.path.realpath(entry.path)}"
            exclusions.append(Exclusion(row.id, "outside_folder", detail))
            continue
        try:
            status = entry.stat()
        except OSError as error:
            exclusions.append(Exclusion(row.id, "missing", f"{entry.path}: {error.strerror}"))
            continue
        rows.append(row)
        paths.append(entry.path)
        sizes.append(status.st_size)
        times.append(status.st_mtime_ns)
    return Recordings(
        tuple(rows), tuple(paths), np.array(sizes, np.int64), np.array(times, np.int64), tuple(exclusions)
    )


def _otherwise_named(entries: dict[str, os.DirEntry[str]], name: str) -> os.DirEntry[str] | None:
    return next((entries[name + suffix] for suffix in _OTHER_SUFFIXES if name + suffix in entries), None)
