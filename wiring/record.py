"""W&B's record of a run on speech: the ratios that act in each trial's config, and what the models say."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from sweeps.recording import Recording
from sweeps.run_folder import RunFolder
from sweeps.weights_and_biases import Mode, Sample, start_recording
from wiring.samples import sounds

WANDB_RATIOS = (
    ("rho", "kl_loss_weight", "mel_loss_weight"),
    ("clip_over_mel", "gradient_clip_norm", "mel_loss_weight"),
)
_PROJECT = "xtts-sweep"


def recording(mode: Mode) -> Recording:
    """What a session calls to begin the W&B record of a run."""
    return partial(_WandbRecording, mode=mode)


class _WandbRecording:
    """W&B's record of one session, which ends with what the best model and the default say."""

    def __init__(self, folder: RunFolder, mode: Mode) -> None:
        self._folder = folder
        self._mode = mode
        self._record = start_recording(folder, mode, project=_PROJECT, ratios=WANDB_RATIOS)
        self._line: str | None = None
        self._open = True

    def close(self) -> str | None:
        """End the record; the line for people, the same if it is called again."""
        if self._open:
            self._open = False
            with tempfile.TemporaryDirectory(prefix="mels-", ignore_cleanup_errors=True) as pictures:
                self._line = self._record.close(self._sounds(Path(pictures)))
        return self._line

    def _sounds(self, pictures: Path) -> list[Sample]:
        if self._mode == "off":
            return []
        try:
            return sounds(self._folder, pictures)
        except Exception:  # the record is worth more than its samples, and the sweep more than both
            return []
