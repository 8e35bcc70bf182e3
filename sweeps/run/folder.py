"""A run's folder: where each file is, which run is meant, and who holds it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from sweeps.common.atomic_file import write_atomically
from sweeps.common.errors import RequestError, nearest
from sweeps.common.program import command
from sweeps.common.strict_yaml import read_yaml_mapping

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
DEFAULT_OUTPUT = "runs"
WRITTEN_BY_A_SWEEP = {"name", "space", "trainer", "trials", "epochs"}
"""Keys of sweep.yaml that another tool's file of that name does not have."""


class Inside:
    """A file or folder of a run."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, folder: RunFolder, owner: object = None) -> Path:
        return folder.path / self._name


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    sweep_yaml = Inside("sweep.yaml")  # everything needed to repeat the run
    trials_jsonl = Inside("trials.jsonl")  # the source of truth
    trials_csv = Inside("trials.csv")  # a row per trial
    best_config = Inside("best_config.yaml")  # the best config with its provenance
    verdict = Inside("verdict.json")  # the finalist against the default
    report = Inside("report.html")  # the self-contained page
    optuna_db = Inside("optuna.db")  # what optuna-dashboard opens
    best = Inside("best")  # the best trial's weights
    checkpoints = Inside("checkpoints")  # a folder for each trial's last and best checkpoint
    ray = Inside("ray")  # Ray Tune's own state

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def in_command(self) -> str:
        """How a command names the run: `NAME`, and `--output DIR` unless it is in runs/."""
        output = str(self.path.parent)
        return self.name if output == DEFAULT_OUTPUT else f"{self.name} --output {shlex.quote(output)}"

    def trial(self, trial_id: str) -> Path:
        """Files that a trial's trainer keeps for people; made only where the trainer asks for it."""
        return self.path / "trials" / trial_id

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return self.sweep_yaml.is_file()

    def free_bytes(self) -> int:
        """Room on the disk that the folder lies on."""
        existing = next(folder for folder in (self.path, *self.path.parents) if folder.exists())
        return shutil.disk_usage(existing).free

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process; RequestError names the owner where another one does."""
        from filelock import FileLock, Timeout

        lock, owner = FileLock(self.path / ".lock"), self.path / ".owner.json"
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise RequestError(f"run {self.name} is in use by {_owner(owner)}; wait for it, or end it first") from error
        except OSError as error:
            raise RequestError(f"{self.path}: cannot be written: {error.strerror or error}") from error
        try:
            write_atomically(
                owner, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": round(time.time())})
            )
            yield
        finally:
            owner.unlink(missing_ok=True)
            lock.release()


def check_name(name: str) -> str:
    """The name of a run, if it is one that cannot leave its folder."""
    if not NAME.fullmatch(name) or ".." in name:
        raise RequestError(f"--name {name!r}: letters, digits, '-', '_' and '.' only, at most 100, not '..'")
    return name


def unused_folder(output: Path, name: str) -> RunFolder:
    """The folder that a new run would get; RequestError where there is a run of that name."""
    folder = RunFolder(output / check_name(name))
    if not _is_text(str(output.absolute())):
        raise RequestError(f"--output {output}: its name is no valid UTF-8, which Ray needs: name another folder")
    if folder.exists:
        raise RequestError(f"--name {name}: {folder.path} holds a run already; resume it, or choose another name")
    return folder


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def new_run(output: Path, name: str) -> RunFolder:
    """Make the folder of a new run; RequestError where there is one of that name or it cannot be made."""
    folder = unused_folder(output, name)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        probe = folder.path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RequestError(f"--output {output}: {folder.path} cannot be written: {error.strerror or error}") from error
    return folder


def runs(output: Path, on_foreign: Callable[[str], None] = lambda line: None) -> list[RunFolder]:
    """All runs in `output`, the newest last. `on_foreign` is called once with what has a sweep.yaml of another tool."""
    if not output.is_dir():
        return []
    found: list[RunFolder] = []
    foreign: list[RunFolder] = []
    for folder in (RunFolder(path.parent) for path in output.glob("*/sweep.yaml")):
        (found if _is_a_run(folder) else foreign).append(folder)
    if foreign:
        names = ", ".join(sorted(folder.name for folder in foreign)[:5])
        on_foreign(f"{output}: passed over {names}{', ...' if len(foreign) > 5 else ''}: no sweep of this program")
    return sorted(found, key=lambda folder: (folder.sweep_yaml.stat().st_mtime, folder.name))


def _is_a_run(folder: RunFolder) -> bool:
    """Whether sweep.yaml was written by a sweep of this program, and not by W&B or another tool."""
    if not folder.exists:
        return False  # a folder or a pipe of that name
    try:
        return read_sweep_yaml(folder).keys() >= WRITTEN_BY_A_SWEEP
    except (RequestError, OSError):
        # One of ours that is damaged has its journal.
        return folder.trials_jsonl.is_file()


def find_run(output: Path, name: str | None = None, on_foreign: Callable[[str], None] = lambda line: None) -> RunFolder:
    """The run of that name, or the newest; RequestError where there is none."""
    if name is None:
        known = runs(output, on_foreign)
        if not known:
            raise RequestError(f"--output {output}: there is no run here yet")
        return known[-1]
    folder = RunFolder(output / check_name(name))
    if not folder.exists:
        hint = nearest(name, [run.name for run in runs(output)])
        raise RequestError(f"{name}: there is no such run in {output}{hint}")
    return folder


def write_sweep_yaml(folder: RunFolder, content: Mapping[str, object]) -> None:
    """Write what is needed to repeat the run."""
    header = f"# Everything needed to repeat this sweep. Resume it: {command(f'resume {folder.name}')}\n"
    write_atomically(folder.sweep_yaml, header + yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True))


def read_sweep_yaml(folder: RunFolder) -> dict[str, object]:
    """What `write_sweep_yaml` wrote."""
    return read_yaml_mapping(folder.sweep_yaml)


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(owner["since"]))
        return f"process {owner['pid']} on {owner['host']} since {since}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
