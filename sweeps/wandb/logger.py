"""The W&B logger: starts a process that follows the journal into W&B, and ends it with the run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sweeps.common.errors import reason_of
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

Samples = Callable[[Run, Path], Sequence[Sample]]
"""What a run's models say; pictures of it are written to the folder, which is there until the samples are logged"""


class WandbLogger(Logger):
    """Records a run in W&B while it runs; `samples` are logged at its end.

    A process of its own reads trials.jsonl from the disk, so W&B cannot block the trials if it is slow or hangs, and
    what it misses can be written later from the journal. `ratios` are (name, numerator, denominator) of parameters, for
    each trial's config. `seconds` is how long the end may take.
    """

    def __init__(
        self,
        mode: Mode,
        *,
        project: str,
        entity: str | None = None,
        ratios: Sequence[Ratio] = (),
        samples: Samples | None = None,
        seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._mode = mode
        self._project = project
        self._entity = entity
        self._ratios = ratios
        self._samples = samples
        self._seconds = seconds
        self._process: ChildProcess | None = None

    def start(self, folder: RunFolder) -> None:
        """Start the process, which records what the journal gets from now on: before this session's first event."""
        destination_in(folder.path / "wandb", self._project, self._entity)
        self._process = _start(folder, self._ratios, online=self._mode == "online", start=end_of(folder.trials_jsonl))

    def close(self, run: Run) -> str | None:
        """End the record with the samples; how many runs there are, and where."""
        lines: list[str] = []
        with tempfile.TemporaryDirectory(prefix="mels-", ignore_cleanup_errors=True) as pictures:
            samples = [] if run.interrupted else samples_of(self._samples, run, Path(pictures), lines.append)
            lines.append(self.end(run.folder, samples, wait=not run.interrupted) or "")
        return "; ".join(line for line in lines if line) or None

    def end(self, folder: RunFolder, samples: Sequence[Sample] = (), *, wait: bool = True) -> str | None:
        """End the record once; without `wait` the process finishes it alone where that takes long."""
        process, self._process = self._process, None
        if process is None:
            return None
        if wait:
            return note(folder, process.end(_last_message(samples), self._seconds))
        found = process.leave({**_last_message(samples), "seconds": self._seconds}, INTERRUPTED_SECONDS)
        if found is not None:
            return note(folder, found)
        publish = command(f"publish {folder.in_command}")
        return f"W&B: the record is being finished in {folder.path / 'wandb'}; upload it with: {publish}"


def record_again(
    folder: RunFolder, trial_ids: Sequence[str], ratios: Sequence[Ratio], samples: Sequence[Sample]
) -> None:
    """Write offline runs of these trials from the journal with `samples`, and the sweep's own; takes its time."""
    _start(folder, ratios, online=False, again=list(trial_ids)).end(_last_message(samples), None)


def samples_of(samples: Samples | None, run: Run, pictures: Path, log: Callable[[str], None]) -> Sequence[Sample]:
    """The samples of a run; none, and a line to `log`, where they cannot be made, because the record is worth more."""
    try:
        return () if samples is None else samples(run, pictures)
    except Exception as error:  # whatever a trainer's own sample code raises
        log(f"W&B gets no samples: {reason_of(error)}")
        return ()


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


def _start(folder: RunFolder, ratios: Sequence[Ratio], *, online: bool, **more: object) -> ChildProcess:
    path = folder.path.resolve()
    task = {"folder": str(path), "online": online, "ratios": [list(one) for one in ratios], **more}
    return ChildProcess(MODULE, task, path / "wandb", online=online)


def _last_message(samples: Sequence[Sample]) -> dict[str, object]:
    return {"samples": [sample.as_dict() for sample in samples]}


def end_of(path: Path) -> int:
    """The byte behind the journal's last whole line, 0 where there is no journal yet."""
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
