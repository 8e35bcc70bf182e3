"""Padded mel frames a batch: what the data wants, what a GPU's memory holds, and half of that once it runs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from xtts.errors import SpeechError
from xtts.evaluation.evaluation import Evaluator
from xtts.training.memory import fitting_budget
from xtts.training.settings import Settings

FRAME_BUDGETS = {"tiny": 1000, "small": 4000, "base": 8000, "xtts": 16000}
_FEWEST_FRAMES, _UPDATES_AN_EPOCH = 400, 30
_Measured = TypeVar("_Measured")


class BatchSize:
    """The frame budget of one trial's batches; a step or an evaluation that runs out of memory is halved once."""

    def __init__(self, settings: Settings, frames_an_epoch: int, device: torch.device) -> None:
        """`frames_an_epoch` are those of the training split."""
        self._model, self._given, self._device = settings.model, settings.batch_frames, device
        self._frames_an_epoch = frames_an_epoch
        self.halved = False
        """Whether the batches of the training are half of what they were"""
        self.report: dict[str, object] = {}
        """Of this epoch: where memory ran out, and what was halved"""
        self.frames = self._given or self._fitting(1.0)

    def share_gpu(self, share: float) -> None:
        """Fit it to this share of the GPU's memory, where other trials use the rest."""
        if self._device.type == "cuda" and not self._given:
            self.frames = self._fitting(share)

    def _fitting(self, share: float) -> int:
        """The wanted frames; on a GPU halved until they fit into the memory that is free now."""
        wanted = wanted_frames(self._model, self._frames_an_epoch)
        if self._device.type != "cuda":
            return wanted
        free, total = torch.cuda.mem_get_info(self._device)
        return fitting_budget(wanted, self._model, min(free, int(share * total)))

    def step(
        self, step: Callable[[], _Measured], release: Callable[[], None], number: int, clips: int
    ) -> _Measured | None:
        """What the optimiser step with this number, of so many clips, returns; None where memory ran out for the first
        time: no update was made, `release()` has freed what the step left, and `frames` is half of what it was."""
        try:
            return step()
        except torch.OutOfMemoryError as error:
            # The traceback holds what the step had allocated: memory is released after this block.
            reason = str(error).partition(".")[0]
        release()
        torch.cuda.empty_cache()
        if self.halved or clips == 1:
            raise _memory_error(f"at step {number} with {self.frames} frames a batch", reason)
        self.halved = True
        self.frames //= 2
        self.report |= {"step": number, "batch_frames": self.frames}
        return None

    def measure(self, measure: Callable[[], _Measured], evaluator: Evaluator, epoch: int) -> _Measured:
        """What the evaluator measures; in batches of half the size, once, where memory runs out."""
        try:
            return measure()
        except torch.OutOfMemoryError as error:
            reason = str(error).partition(".")[0]
        torch.cuda.empty_cache()
        if evaluator.halved:
            raise _memory_error(f"in the evaluation of epoch {epoch}", reason)
        evaluator.halve()
        self.report["evaluation"] = True
        return self.measure(measure, evaluator, epoch)


def wanted_frames(model: str, frames_an_epoch: int) -> int:
    """The model's own budget, or fewer frames where a small data set would give few updates an epoch.

    Steps matter more than weights: small batches learned more from 5 minutes of speech, at a higher cost an epoch.
    """
    return min(FRAME_BUDGETS[model], max(_FEWEST_FRAMES, frames_an_epoch // _UPDATES_AN_EPOCH))


def _memory_error(where: str, reason: str) -> SpeechError:
    """What a trial fails with; its cause has no traceback, which would hold the memory."""
    error = SpeechError(
        f"out of GPU memory {where} ({reason}); choose --set batch_frames=N, a smaller --model or a larger"
        " --gpus-per-trial"
    )
    error.__cause__ = torch.OutOfMemoryError(reason)
    return error
