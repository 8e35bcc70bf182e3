"""A run's folder as a sweep leaves it, written by hand so that W&B can be tested without training anything."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sweeps.run.best_config import write_best_config
from sweeps.run.config import SweepConfig, sweep_yaml
from sweeps.run.folder import RunFolder, new_run, write_sweep_yaml
from sweeps.run.trials_csv import write_trials_csv
from sweeps.trials.event import Event
from sweeps.trials.journal import Journal
from sweeps.trials.record import best_record
from sweeps.tuner.api import plan_for
from sweeps.wandb import Mode, WandbLogger

RATIOS = [("rho", "kl_loss_weight", "mel_loss_weight"), ("clip_over_mel", "gradient_clip_norm", "mel_loss_weight")]
SECONDS = 90.0  # a test machine may be very busy; an idle one needs two


def new_folder(request: SweepConfig) -> RunFolder:
    """The folder of a run that is about to start."""
    folder = new_run(request.output, request.name)
    write_sweep_yaml(folder, sweep_yaml(request, plan_for(request)))
    return folder


def write_events(folder: RunFolder, request: SweepConfig, events: Iterable[Event]) -> None:
    """Append events to the journal and make the files that follow from it."""
    with Journal(folder.trials_jsonl) as journal:
        for event in events:
            given = dict(event)
            journal.append(str(given.pop("event")), given.pop("trial_id"), **given)  # type: ignore[arg-type]
        write_trials_csv(folder.trials_csv, journal.records, request.columns)
        best = best_record(journal.records)
        if best is not None:
            write_best_config(folder.best_config, best, {}, {})


def started(
    folder: RunFolder, mode: Mode = "offline", *, project: str = "speech", seconds: float = SECONDS, **options: Any
) -> WandbLogger:
    """A logger that records the run from now on."""
    logger = WandbLogger(mode, project=project, seconds=seconds, **options)
    logger.start(folder)
    return logger


def event(kind: str, trial_id: str | None = None, **details: Any) -> Mapping[str, Any]:
    """One event of the journal."""
    return {"event": kind, "trial_id": trial_id, **details}


def wav(path: Path) -> Path:
    """A tenth of a second of sound."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 22050, 0, "NONE", ""))
        file.writeframes(b"\0\1" * 2205)
    return path


def fake_wandb(folder: Path, body: str) -> Path:
    """A package named wandb with this body, to be put on PYTHONPATH."""
    package = folder / "wandb"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import time\n\ndef Settings(**given):\n    return given\n\n" + body)
    return folder
