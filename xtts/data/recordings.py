"""Finds the recordings of a data set on disk, one listing per folder instead of one question per clip."""

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xtts.data.exclusion import Exclusion
from xtts.data.file_names import FileNames
from xtts.data.layouts import Layout, Row


@dataclass(frozen=True)
class Recordings:
    """Recordings that are there, by clip: the rows they belong to, their paths, sizes and times of change."""

    rows: tuple[Row, ...]
    paths: tuple[str, ...]
    size: npt.NDArray[np.int64]
    mtime_ns: npt.NDArray[np.int64]
    exclusions: tuple[Exclusion, ...]
    outside: tuple[str, ...] = ()
    """Recordings outside the data folder that were allowed, as `id (path)`."""

    def stamp(self, *settings: object) -> str:
        """Digest that changes when any recording, its place or one of the settings does."""
        digest = hashlib.sha256(repr(settings).encode())
        digest.update("\0".join(self.paths).encode("utf-8", "surrogateescape"))
        digest.update(self.size.tobytes())
        digest.update(self.mtime_ns.tobytes())
        return digest.hexdigest()


def find_recordings(
    layout: Layout, data_folders: tuple[Path, ...], *, allow_outside: bool = False, names: FileNames | None = None
) -> Recordings:
    """Each row's recording with size and time; rows without one, or with one outside the folders, are excluded."""
    folders = {str(folder) for folder in data_folders} | {row.base for row in layout.rows}
    roots = tuple({os.path.realpath(folder) for folder in folders})
    rows: list[Row] = []
    paths: list[str] = []
    sizes: list[int] = []
    times: list[int] = []
    outside: list[str] = []
    exclusions = list(layout.exclusions)
    names = names or FileNames()
    first_of: dict[tuple[int, int], int] = {}
    disputed: set[int] = set()

    @cache
    def is_inside(path: str) -> bool:
        real = os.path.realpath(path)
        return any(real == root or real.startswith(root + os.sep) for root in roots)

    for row in layout.rows:
        entry = names.find(_places(row), row.folder or row.base, row.stem, row.in_front)
        if entry is None:
            exclusions.append(Exclusion(row.id, "missing", f"{row.base}/{row.stem}: no such .wav or .flac file"))
            continue
        if not is_inside(str(Path(entry.path).parent)) or (entry.is_symlink() and not is_inside(entry.path)):
            real = os.path.realpath(entry.path)
            if not allow_outside:
                detail = f"{entry.path} leads to {real}: --allow-outside reads it"
                exclusions.append(Exclusion(row.id, "outside_folder", detail))
                continue
            outside.append(f"{row.id} ({real})")
        try:
            status = entry.stat()
        except OSError as error:
            exclusions.append(Exclusion(row.id, "missing", f"{entry.path}: {error.strerror}"))
            continue
        first = first_of.setdefault((status.st_dev, status.st_ino), len(rows))
        if first < len(rows) and paths[first] == entry.path:
            detail = f"{row.id} and {rows[first].id} name one recording, {entry.path}"
            exclusions.append(Exclusion(row.id, "repeated_id", detail))
            if row.text != rows[first].text:
                disputed.add(first)
            continue
        rows.append(row)
        paths.append(entry.path)
        sizes.append(status.st_size)
        times.append(status.st_mtime_ns)
    kept = [at for at in range(len(rows)) if at not in disputed]
    exclusions += [
        Exclusion(rows[at].id, "repeated_id", f"{paths[at]} has two rows with different texts") for at in disputed
    ]
    return Recordings(
        tuple(rows[at] for at in kept),
        tuple(paths[at] for at in kept),
        np.array([sizes[at] for at in kept], np.int64),
        np.array([times[at] for at in kept], np.int64),
        tuple(exclusions),
        tuple(outside),
    )


def _places(row: Row) -> tuple[str, ...]:
    """Where a row's recording may lie: the folder of recordings, the metadata's folder, wavs in it."""
    folder = row.folder or row.base
    return tuple(dict.fromkeys((row.base, folder, f"{folder}/wavs")))
