"""W&B's record of a run on speech: the ratios that act in each trial's config, and what the models say."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sweeps.run.folder import RunFolder
from sweeps.run.run import read_run
from sweeps.tuner.logger import Recording
from sweeps.wandb import Mode, Sample, project_and_entity, publish, start_recording
from xtts_sweep.integration.samples import sounds

WANDB_RATIOS = (
    ("rho", "kl_loss_weight", "mel_loss_weight"),
    ("clip_over_mel", "gradient_clip_norm", "mel_loss_weight"),
)
_PROJECT = "xtts-sweep"


def recording(mode: Mode) -> Recording:
    """What a session calls to begin the W&B record of a run."""
    return partial(_WandbRecording, mode=mode)


def publish_run(folder: RunFolder, project: str | None, entity: str | None, say: Callable[[str], None]) -> list[str]:
    """Upload a run as a W&B sweep, with what its models say where it was not recorded before; lines for people."""
    own_project, own_entity = project_and_entity(_PROJECT, os.environ)
    project, entity = project or own_project, entity or own_entity
    with tempfile.TemporaryDirectory(prefix="mels-", ignore_cleanup_errors=True) as pictures:
        samples = _sounds(folder, Path(pictures))
        return publish(folder.path, project=project, entity=entity, ratios=WANDB_RATIOS, samples=samples, say=say)


def _sounds(folder: RunFolder, pictures: Path) -> list[Sample]:
    try:
        return sounds(read_run(folder.path), pictures)
    except Exception:  # the record is worth more than its samples, and the sweep more than both
        return []


class _WandbRecording:
    """W&B's record of one session, which ends with what the best model and the default say."""

    def __init__(self, folder: RunFolder, mode: Mode) -> None:
        self._folder = folder
        self._mode = mode
        project, entity = project_and_entity(_PROJECT, os.environ)
        self._record = start_recording(folder, mode, project=project, entity=entity, ratios=WANDB_RATIOS)
        self._line: str | None = None
        self._open = True

    def close(self) -> str | None:
        """End the record; the line for people, the same if it is called again."""
        if self._open:
            self._open = False
            with tempfile.TemporaryDirectory(prefix="mels-", ignore_cleanup_errors=True) as pictures:
                samples = [] if self._mode == "off" else _sounds(self._folder, Path(pictures))
                self._line = self._record.close(samples)
        return self._line
