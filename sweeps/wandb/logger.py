"""The sweep's side of the W&B logger: start it and close it."""

from __future__ import annotations

from sweeps.common.program import command

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sweeps.run.folder import RunFolder
from sweeps.wandb.child_process import ChildProcess
from sweeps.wandb.content import Ratio
from sweeps.wandb.destination import destination_in
from sweeps.wandb.environment import Mode
from sweeps.wandb.media import Sample

CLOSE_SECONDS = 15.0  # it takes about one on an idle machine
MODULE = "sweeps.wandb.logger_process"


class RunRecording(Protocol):
    """A W&B logger of a running sweep."""

    def close(self, samples: Sequence[Sample] = ()) -> str | None:
        """End the runs once the run's files are written; returns a line for people, or None."""


@dataclass(frozen=True)
class NoRecording:
    """--wandb off; or a logger that could not be started, with the line that reports it."""

    line: str | None = None

    def close(self, samples: Sequence[Sample] = ()) -> str | None:
        """The line, if there is one."""
        return self.line


class Recording:
    """A process that follows trials.jsonl into W&B.

    It reads the journal from the disk, so that it cannot block the trials if it is slow or hangs. What it misses can be
    written later from the journal.
    """

    def __init__(self, folder: RunFolder, process: ChildProcess, seconds: float | None) -> None:
        self._folder = folder
        self._process = process
        self._seconds = seconds
        self._closed = False

    def close(self, samples: Sequence[Sample] = ()) -> str | None:
        """End the record, with `samples` on their trials' runs; waits `seconds` at most and never raises.

        Closing it once more does nothing.
        """
        if self._closed:
            return None
        self._closed = True
        try:
            found = self._process.end({"samples": [sample.as_dict() for sample in samples]}, self._seconds)
        except Exception as error:  # whatever goes wrong here, the sweep is whole
            found = {"problem": f"{type(error).__name__}: {error}"}
        return note(self._folder, found)


def start_recording(
    folder: RunFolder,
    mode: Mode,
    *,
    project: str,
    entity: str | None = None,
    ratios: Sequence[Ratio] = (),
    seconds: float = CLOSE_SECONDS,
) -> RunRecording:
    """Begin to record what the journal gets from now on; start it before the session's first event. Never raises.

    `ratios` are (name, numerator, denominator) of parameters, for each trial's config.
    """
    if mode == "off":
        return NoRecording()
    try:
        destination_in(folder.path / "wandb", project, entity)
        start = end_of(folder.trials_jsonl)
        task = {"online": mode == "online", "start": start, "ratios": [list(one) for one in ratios]}
        return _start(folder, task, seconds)
    except Exception as error:  # the sweep is worth more than its record
        return NoRecording(f"W&B records nothing: {' '.join(str(error).split())}")


def record_again(
    folder: RunFolder, trial_ids: Sequence[str], ratios: Sequence[Ratio], samples: Sequence[Sample] = ()
) -> str | None:
    """Write offline runs of these trials from the journal with `samples`, and the sweep's own; takes its time."""
    task = {"online": False, "again": list(trial_ids), "ratios": [list(one) for one in ratios]}
    return _start(folder, task, None).close(samples)


def note(folder: RunFolder, found: Mapping[str, object]) -> str:
    """What became of the record, in a line: how many runs and where, or what went wrong and how to mend it."""
    place, publish = folder.path / "wandb", command(f"publish {folder.in_command}")
    if found.get("problem"):
        return f"{found['problem']}; the sweep itself is whole: remove {place}, and `{publish}` writes every run anew"
    offline = f"W&B: {found['runs']} runs in {place}; upload them with: {publish}"
    if found.get("unreachable"):
        return f"{found['unreachable']}; {offline}"
    return f"W&B: {found['runs']} runs at {found['url']}" if found.get("url") else offline


def _start(folder: RunFolder, task: Mapping[str, object], seconds: float | None) -> Recording:
    wandb_folder = folder.path.resolve() / "wandb"
    whole = {"folder": str(folder.path.resolve()), **task}
    return Recording(folder, ChildProcess(MODULE, whole, wandb_folder, online=task["online"] is True), seconds)


def end_of(path: Path) -> int:
    """The byte behind the journal's last whole line, 0 where there is no journal yet."""
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
