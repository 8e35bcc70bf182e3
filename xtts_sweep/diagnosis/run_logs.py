"""Finds the training runs below a path: their log files, their config and their checkpoints."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sweeps.common.errors import RequestError
from sweeps.external.readers.discovery import KINDS, kind_of
from sweeps.external.readers.stream import LogStream
from sweeps.external.readers.wandb_offline import WandbReader, values
from xtts.diagnostics.logged_run import Checkpoint

PREFERENCE = ("trainer_state", *KINDS, "console", "stderr")
"""Of several kinds of log in one folder, the first that holds numbers is read"""
CONSOLE_NAMES = (".log", ".txt", ".out")
TEXTS = ("console", "jsonl", "stderr")
"""Kinds of log that can hold an error message"""
SPLIT_FOLDERS = {"train", "training", "validation", "val", "valid", "eval", "test"}
"""Keras writes a folder of events for each split"""
LOG_FOLDERS = {"tensorboard", "tb", "logs", "log", "runs", "events", "lightning_logs"}
"""Folders of logs alone: weights are next to them"""
CHECKPOINT_FOLDER = re.compile(r"checkpoint-(\d+)$")
WEIGHT_FILES = {".pth", ".pt", ".ckpt", ".safetensors", ".h5", ".bin"}
CONFIG_NAMES = (
    "config.json",
    "config.yaml",
    "config.yml",
    "files/config.yaml",
    "hparams.yaml",
    "hparams.json",
    "params.json",
    "args.json",
)
NO_LOGS = ("debug.log", "debug-internal.log", "debug-core.log")
"""W&B's own"""
MOST_FILES = 20_000
LARGEST_CONFIG = 1 << 22
_STEP = re.compile(r"(?:step|checkpoint|model|G|iter|ckpt)[_=-]?(\d+)", re.IGNORECASE)
_EPOCH = re.compile(r"epoch[_=-]?(\d+)", re.IGNORECASE)
_TIME = re.compile(r"tfevents\.(\d+)")


@dataclass
class RunLogs:
    """The files of one run. `streams` are by kind, each with the prefix that its tags get."""

    name: str
    folder: Path
    streams: dict[str, list[tuple[str, LogStream]]] = field(default_factory=dict)
    config: Mapping[str, object] = field(default_factory=dict)
    checkpoints: tuple[Checkpoint, ...] = ()
    folders: tuple[str, ...] = ()
    """Where the run was resumed into folders of its own: their names, oldest first"""

    @classmethod
    def joined(cls, parts: Sequence[RunLogs]) -> RunLogs:
        """A resumed run, from the logs of its folders, oldest first; the config is the newest one's."""
        streams: dict[str, list[tuple[str, LogStream]]] = {}
        for part in parts:
            for kind, own in part.streams.items():
                streams.setdefault(kind, []).extend((prefix, LogStream(kind, one.path)) for prefix, one in own)
        last, names = parts[-1], tuple(part.folder.name for part in parts)
        return cls(
            last.name, last.folder, streams, last.config, tuple(one for p in parts for one in p.checkpoints), names
        )

    @property
    def texts(self) -> list[Path]:
        """Files that hold console output."""
        return [stream.path for kind in TEXTS for _, stream in self.streams.get(kind, [])]

    @property
    def is_of_sweep(self) -> bool:
        """Whether the folder lies in a run of this program."""
        return any((one / "sweep.yaml").is_file() and (one / "trials.jsonl").is_file() for one in self.folder.parents)

    @property
    def is_lightning(self) -> bool:
        """Whether Lightning's loggers wrote it, which count epochs from 0 also where a resumed run begins later."""
        names = {stream.path.name for streams in self.streams.values() for _, stream in streams}
        return "metrics.csv" in names or (self.folder / "hparams.yaml").is_file()

    @property
    def newest(self) -> float:
        """When the newest log was written."""
        paths = [stream.path for streams in self.streams.values() for _, stream in streams]
        return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)


def find_runs(path: Path) -> list[RunLogs]:
    """The runs at or below `path`, newest first. Raises RequestError where there is no log."""
    if not path.exists():
        raise RequestError(f"{path}: no such file or folder; give a training log or the folder that holds it")
    runs: dict[Path, RunLogs] = {}
    for file in [path] if path.is_file() else _files(path):
        kind = log_kind(file, given=path.is_file())
        if kind is None:
            continue
        folder, prefix = _home(file)
        name = (
            str(folder.relative_to(path)) if folder.is_relative_to(path) and folder != path else folder.resolve().name
        )
        run = runs.setdefault(folder, RunLogs(name, folder))
        run.streams.setdefault(kind, []).append((prefix, LogStream(kind, file)))
    if not runs:
        raise RequestError(
            f"{path}: no training log found (TensorBoard events, CSV, JSON lines, .wandb, trainer_state.json, .log)"
        )
    for run in runs.values():
        for streams in run.streams.values():
            streams.sort(key=lambda one: (_written(one[1].path), one[1].path.name))
        _keep_last_state(run)
        run.config = _config(run.folder) or _wandb_config(run)
        run.checkpoints = tuple(_checkpoints(run.folder)) or tuple(_checkpoints_above(run.folder))
    return sorted(runs.values(), key=lambda run: -run.newest)


def log_kind(file: Path, *, given: bool) -> str | None:
    """What a file is; text files that were not named are logs only by their ending."""
    if file.name == "trainer_state.json":
        return "trainer_state"
    if file.name in CONFIG_NAMES or file.name in NO_LOGS or file.name.startswith("metadata"):
        return None
    if file.suffix.lower() == ".err" or file.name.endswith("stderr"):
        return "console" if given else "stderr"
    known = kind_of(file)
    if known is None and (given or file.suffix.lower() in CONSOLE_NAMES or file.name.endswith("stdout")):
        return None if file.suffix.lower() in WEIGHT_FILES else "console"
    return known


def _home(file: Path) -> tuple[Path, str]:
    folder = file.parent
    if CHECKPOINT_FOLDER.search(folder.name) and file.name == "trainer_state.json":
        return folder.parent, ""
    if folder.name in ("files", "logs") and any(folder.parent.glob("*.wandb")):
        return folder.parent, ""
    if file.suffix == ".wandb":  # a resumed run has a folder for each part
        parts = sorted(folder.parent.glob(f"*run-*-{glob.escape(file.stem.removeprefix('run-'))}"))
        return (parts[0] if folder in parts else folder), ""
    if folder.name.lower() in SPLIT_FOLDERS and "tfevents" in file.name:
        return folder.parent, f"{folder.name}/"
    return folder, ""


def _keep_last_state(run: RunLogs) -> None:
    """HF's Trainer writes the whole history with each checkpoint: the last one holds all."""
    states = run.streams.get("trainer_state", [])
    if states:
        run.streams["trainer_state"] = [max(states, key=lambda one: one[1].path.stat().st_mtime)]


def _written(path: Path) -> float:
    """When an event file was begun, by its name; else when it was last written."""
    found = _TIME.search(path.name)
    return float(found.group(1)) if found else path.stat().st_mtime


def _files(folder: Path) -> Iterator[Path]:
    count = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "site-packages", "wavs")))
        for name in sorted(names):
            count += 1
            if count > MOST_FILES:
                raise RequestError(f"{folder}: more than {MOST_FILES:,} files; give the folder of the run itself")
            path = Path(parent) / name
            if not name.startswith(".") and path.is_file():
                yield path


def _config(folder: Path) -> dict[str, object]:
    """The trainer's own config next to its logs or up to two folders above, with dotted keys."""
    for place in (folder, folder.parent, folder.parent.parent):
        for name in CONFIG_NAMES:
            loaded = _load(place / name)
            if loaded:
                return dict(_flat(loaded, ""))
    return {}


def _wandb_config(run: RunLogs) -> dict[str, object]:
    """The config in a .wandb file: an offline run has no other."""
    for _, stream in run.streams.get("wandb", [])[:1]:
        for message in WandbReader(stream.path).messages():
            if message.WhichOneof("record_type") == "run":
                return dict(_flat(values(message.run.config.update), ""))
    return {}


def _load(path: Path) -> Mapping[str, Any] | None:
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_CONFIG:
            return None
        text = path.read_text(encoding="utf-8", errors="replace")
        loaded = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None
    return loaded if isinstance(loaded, Mapping) else None


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    for key, part in value.items():
        if isinstance(part, Mapping):
            yield from _flat(part, f"{prefix}{key}.")
        else:
            # W&B's config.yaml has each value under `value`.
            yield (prefix[:-1] if key == "value" and prefix else f"{prefix}{key}"), part


def _checkpoints_above(folder: Path) -> Iterator[Checkpoint]:
    """Of a log in a folder of its own, such as `tensorboard` or `runs/DATE`; a folder next to it is another run's."""
    for place in (folder, folder.parent):
        if place.name.lower() in LOG_FOLDERS:
            steps = (one for one in place.parent.glob("checkpoint-*") if CHECKPOINT_FOLDER.search(one.name))
            yield from _checkpoints_in((place.parent, *steps))


def _checkpoints(folder: Path) -> Iterator[Checkpoint]:
    return _checkpoints_in((folder, *(one for one in sorted(folder.iterdir())[:200] if one.is_dir())))


def _checkpoints_in(places: Iterable[Path]) -> Iterator[Checkpoint]:
    for place in places:
        found = CHECKPOINT_FOLDER.search(place.name)
        if found:
            yield Checkpoint(str(place), int(found.group(1)))
            continue
        for file in sorted(place.iterdir())[:500]:
            if file.suffix.lower() in WEIGHT_FILES and file.is_file():
                step, epoch = _STEP.search(file.stem.replace("model.weights", "")), _EPOCH.search(file.stem)
                yield Checkpoint(
                    str(file),
                    int(step.group(1)) if step else None,
                    int(epoch.group(1)) + 1 if epoch else None,
                    "best" in file.stem.lower(),
                )
