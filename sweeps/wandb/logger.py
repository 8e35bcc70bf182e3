"""The W&B logger: starts a process that follows the journal into W&B, and ends it with the run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sweeps.common.program import command
from sweeps.run.folder import RunFolder
from sweeps.run.logger import Logger
from sweeps.run.run import Run
from sweeps.wandb.child_process import ChildProcess
from sweeps.wandb.content import Ratio
from sweeps.wandb.destination import destination_in
from sweeps.wandb.environment import Mode
from sweeps.wandb.media import Sample

CLOSE_SECONDS = 15.0  # it takes about one on an idle machine
INTERRUPTED_SECONDS = 0.5  # after a Ctrl-C W&B's process finishes the record alone
MODULE = "sweeps.wandb.logger_process"


class WandbLogger(Logger):
    """Records a run in W&B while it runs; `samples(run, folder)` are what its models say, for the end of the record.

    It follows trials.jsonl in a process of its own, so events need not be passed to it. `ratios` are (name, numerator,
    denominator) of parameters, for each trial's config.
    """

    def __init__(
        self,
        mode: Mode,
        *,
        project: str,
        entity: str | None = None,
        ratios: Sequence[Ratio] = (),
        samples: Callable[[Run, Path], Sequence[Sample]] | None = None,
    ) -> None:
        self._mode = mode
        self._project = project
        self._entity = entity
        self._ratios = ratios
        self._samples = samples
        self._recording: Recording | None = None

    def start(self, folder: RunFolder) -> None:
        """Start the process that follows the journal."""
        self._recording = start_recording(
            folder, self._mode, project=self._project, entity=self._entity, ratios=self._ratios
        )

    def close(self, run: Run) -> str | None:
        """End the record with the samples; how many runs there are, and where."""
        if self._recording is None:
            return None
        if run.interrupted:
            return self._recording.leave(INTERRUPTED_SECONDS)
        with tempfile.TemporaryDirectory(prefix="mels-", ignore_cleanup_errors=True) as pictures:
            return self._recording.close(self._samples_of(run, Path(pictures)))

    def _samples_of(self, run: Run, pictures: Path) -> Sequence[Sample]:
        if self._samples is None or self._mode == "off":
            return ()
        try:
            return self._samples(run, pictures)
        except Exception:  # the record is worth more than its samples
            return ()


class Recording:
    """A process that follows trials.jsonl into W&B.

    It reads the journal from the disk, so that it cannot block the trials if it is slow or hangs. What it misses can be
    written later from the journal.
    """

    def __init__(
        self, folder: RunFolder, process: ChildProcess | None, seconds: float | None, line: str | None = None
    ) -> None:
        """Without a process nothing is recorded, and `line` says why."""
        self._folder = folder
        self._process = process
        self._seconds = seconds
        self._line = line

    def close(self, samples: Sequence[Sample] = (), seconds: float | None = None) -> str | None:
        """End the record, with `samples` on their trials' runs; waits `seconds` at most and never raises.

        Closing it once more does nothing.
        """
        process, self._process, line, self._line = self._process, None, self._line, None
        if process is None:
            return line
        try:
            found = process.end({"samples": [sample.as_dict() for sample in samples]}, seconds or self._seconds)
        except Exception as error:  # whatever goes wrong here, the sweep is whole
            found = {"problem": f"{type(error).__name__}: {error}"}
        return note(self._folder, found)

    def leave(self, seconds: float) -> str | None:
        """End the record, and let the process finish it alone where that takes longer; never raises."""
        process, self._process, line, self._line = self._process, None, self._line, None
        if process is None:
            return line
        try:
            found = process.leave({"samples": [], "seconds": self._seconds or CLOSE_SECONDS}, seconds)
        except Exception as error:
            found = {"problem": f"{type(error).__name__}: {error}"}
        if found is None:
            publish = command(f"publish {self._folder.in_command}")
            return f"W&B: the record is being finished in {self._folder.path / 'wandb'}; upload it with: {publish}"
        return note(self._folder, found)


def start_recording(
    folder: RunFolder,
    mode: Mode,
    *,
    project: str,
    entity: str | None = None,
    ratios: Sequence[Ratio] = (),
    seconds: float = CLOSE_SECONDS,
) -> Recording:
    """Begin to record what the journal gets from now on; start it before the session's first event. Never raises.

    `ratios` are (name, numerator, denominator) of parameters, for each trial's config.
    """
    if mode == "off":
        return Recording(folder, None, seconds)
    try:
        destination_in(folder.path / "wandb", project, entity)
        start = end_of(folder.trials_jsonl)
        task = {"online": mode == "online", "start": start, "ratios": [list(one) for one in ratios]}
        return _start(folder, task, seconds)
    except Exception as error:  # the sweep is worth more than its record
        return Recording(folder, None, seconds, f"W&B records nothing: {' '.join(str(error).split())}")


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
    runs = f"{found['runs']} run{'' if found['runs'] == 1 else 's'}"
    offline = f"W&B: {runs} in {place}; upload {'it' if found['runs'] == 1 else 'them'} with: {publish}"
    if found.get("unreachable"):
        return f"{found['unreachable']}; {offline}"
    return f"W&B: {runs} at {found['url']}" if found.get("url") else offline


def _start(folder: RunFolder, task: Mapping[str, object], seconds: float | None) -> Recording:
    wandb_folder = folder.path.resolve() / "wandb"
    whole = {"folder": str(folder.path.resolve()), **task}
    return Recording(folder, ChildProcess(MODULE, whole, wandb_folder, online=task["online"] is True), seconds)


def end_of(path: Path) -> int:
    """The byte behind the journal's last whole line, 0 where there is no journal yet."""
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
