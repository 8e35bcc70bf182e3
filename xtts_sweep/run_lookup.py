"""The run that a command is about."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtts_sweep.terminal import warn

if TYPE_CHECKING:
    from sweeps.run.folder import RunFolder
    from sweeps.run.run import Run
    from sweeps.search.memory import Memory
    from sweeps.space.space import Space


def found_folder(name: str | None, output: str, storage: str | None) -> RunFolder:
    """The run's folder in `output`, or fetched from the storage; RequestError where there is none."""
    from sweeps.run.folder import find_run

    if storage is None:
        return find_run(Path(output), name, warn)
    from sweeps.storage.remote_run import fetched

    return fetched(storage, name, Path(output))


def folder_to_resume(name: str | None, output: str, storage: str | None) -> RunFolder:
    """The same; one that is named is fetched, or moved into the storage, when it is resumed."""
    from sweeps.run.folder import RunFolder, check_name

    if storage is None or name is None:
        return found_folder(name, output, storage)
    return RunFolder(Path(output) / check_name(name))


def found_run(options: argparse.Namespace) -> Run:
    """The same, with its records."""
    from sweeps.run.run import read_run

    return read_run(found_folder(options.name, options.output, options.storage).path)


def remembered(options: Any, space: Space) -> Memory:
    """The full-length trials of the runs that --from names: in --output, or the folders of runs."""
    from sweeps.run.folder import find_run
    from sweeps.run.run import read_run
    from sweeps.search.memory import memory_of
    from sweeps.trials.record import searched

    runs = {}
    for name in options.from_runs:
        folder = Path(name)
        path = folder if (folder / "sweep.yaml").is_file() else find_run(Path(options.output), name).path
        runs[path.name] = searched(read_run(path).records)
    return memory_of(runs, space)
