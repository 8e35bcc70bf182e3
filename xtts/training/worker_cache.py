"""What the trials that one worker trains after each other share: the opened data and its evaluator."""

from __future__ import annotations

from functools import lru_cache

import torch

from xtts.alignment.aligned import AlignedDataset
from xtts.data.splits import TEST, VALIDATION
from xtts.evaluation.evaluation import Evaluator
from xtts.prepare.batches import SpeechBatches
from xtts.prepare.prepare_data import open_data
from xtts.training.settings import Settings

_SPLITS = {"validation": VALIDATION, "test": TEST}


def batches_and_evaluator(
    data: str, settings: Settings, device: torch.device, dtype: torch.dtype
) -> tuple[SpeechBatches, Evaluator]:
    """The data behind a handle as batches, and the evaluator of the split that the settings name."""
    return cached(data, settings.mel_normalisation, _SPLITS[settings.evaluate_on], str(device), dtype)


@lru_cache(maxsize=2)
def cached(
    data: str, normalisation: str, split: int, device: str, dtype: torch.dtype
) -> tuple[SpeechBatches, Evaluator]:
    """The same by what they depend on."""
    aligned = _opened(data)
    standard = normalisation == "standard"
    mean, sd = (aligned.speech.mel_mean, aligned.speech.mel_sd) if standard else (0.0, 1.0)
    batches = SpeechBatches(aligned, mean, sd)
    return batches, Evaluator(batches, split, 1.0 if standard else aligned.speech.mel_sd, torch.device(device), dtype)


@lru_cache(maxsize=1)
def _opened(data: str) -> AlignedDataset:
    return open_data(data)
