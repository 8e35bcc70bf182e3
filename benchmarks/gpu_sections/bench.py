"""What all sections of benchmarks/gpu.py share: the speech, how much of everything, training steps and the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xtts.model.model_config import PRESETS
from xtts.training.training import Training

COMMAND = Path(__file__).resolve().parents[1] / "gpu.py"
Found = dict[str, Any]


def on_gpu() -> bool:
    """Whether there is a GPU to measure."""
    return torch.cuda.is_available()


class Bench:
    """What all sections share: the speech, how much of everything, and when to stop."""

    def __init__(self, handle: str, small: bool, seconds: float) -> None:
        self.handle = handle
        self.small = small
        self.ends = time.perf_counter() + seconds
        self.presets = ("tiny",) if small else tuple(PRESETS)
        self.small_presets = ("tiny",) if small else ("tiny", "small")

    def count(self, full: int, small: int) -> int:
        """Steps, seeds or epochs: all, or as many as show that it works."""
        return small if self.small else full

    def left(self) -> float:
        """Seconds."""
        return self.ends - time.perf_counter()

    def training(self, model: str, seed: int = 1, **params: object) -> Training:
        """A trial of the default config."""
        return Training({"model": model, **params}, self.handle, seed)


def run_steps(training: Training, count: int) -> Tensor:
    """So many training steps: loss, mel, kl and gradient norm of each [count, 4], left on the device."""
    noise = torch.Generator(training.device).manual_seed(1)
    return torch.stack([training.training_step(items, noise) for items in islice(batches_of(training), count)])


def batches_of(training: Training) -> Iterator[list[Any]]:
    """The batches of a first epoch, again and again."""
    return cycle(training.train_batches(1))


def synchronize() -> None:
    """Wait for the device, where there is one."""
    if on_gpu():
        torch.cuda.synchronize()


def timed(work: Callable[[], object]) -> float:
    """Seconds, the device's part included."""
    synchronize()
    begun = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - begun
