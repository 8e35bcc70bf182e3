"""How much arithmetic an epoch of training needs, by torch's FLOP counter, and what the machine could do."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from xtts.model.free_running import run_freely, run_whole, with_true_history
from xtts.prepare.batches import Item
from xtts.training.training import Training

ModelConfig = Sequence[int]


def _attention(query: ModelConfig, key: ModelConfig, value: ModelConfig, *given: object, **named: object) -> int:
    del given, named
    return int(sdpa_flop_count(query, key, value))


def _attention_backward(
    grad: ModelConfig, query: ModelConfig, key: ModelConfig, value: ModelConfig, *given: object, **named: object
) -> int:
    del given, named
    return int(sdpa_backward_flop_count(grad, query, key, value))


_CPU_ATTENTION = {
    # torch's counter has the formulas and knows the GPU's kernels of attention; the CPU's take the same arguments.
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}


@dataclass(frozen=True)
class EpochWork:
    """Of one epoch of training, validation not counted."""

    total: float
    """FLOPs over the padded batches"""
    useful: float
    """FLOPs over valid positions only"""
    step_rate: float
    """FLOPs a second that the steps alone came to, padding counted"""
    useful_step_rate: float
    """The same over valid positions"""


def epoch_work(trainer: Training, sampled: int = 6) -> EpochWork:
    """Counted on an epoch's batches; the valid share on `sampled` of them, each clip of which is counted alone too,
    where nothing is padding. Times the steps, too. The trial is of no use afterwards."""
    batches = trainer.train_batches(1)
    chosen = np.linspace(0, len(batches) - 1, min(sampled, len(batches))).astype(int).tolist()
    totals = {index: flops(trainer, [batches[index]]) for index in chosen}
    alone = sum(flops(trainer, [[item] for item in batches[index]]) for index in chosen)
    share = alone / sum(totals.values())
    total = sum(totals.get(index) or flops(trainer, [items]) for index, items in enumerate(batches))
    seconds = step_seconds(trainer, [batches[index] for index in chosen])
    rate = sum(totals.values()) / seconds
    return EpochWork(total, total * share, rate, rate * share)


def flops(trainer: Training, batches: Sequence[list[Item]]) -> float:
    """Of one training step on each of the batches."""
    with FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION) as counter:
        _steps(trainer, batches)
    return float(counter.get_total_flops())


def step_seconds(trainer: Training, batches: Sequence[list[Item]], repeats: int = 3) -> float:
    """Least wall time of one training step on each of the batches."""
    return _least(lambda: _steps(trainer, batches), repeats)


@torch.no_grad()
def free_running_share(trainer: Training, repeats: int = 3) -> float:
    """How much of an evaluation's time the model runs on its own predictions; the rest is passes with true history."""
    model, evaluator = trainer.model, trainer.evaluator
    both = zip(evaluator.own_batches, evaluator.swapped_batches, strict=True)
    histories = [with_true_history(model, own, swapped) for own, swapped in both]

    def free() -> None:
        for history in histories:
            run_freely(model, history)
        patches = iter(evaluator.whole_patches)
        for batch in evaluator.whole_batches:
            run_whole(model, batch, list(islice(patches, len(batch.tokens))))

    return _least(free, repeats) / _least(lambda: evaluator.evaluate(model), repeats)


def _least(work: Callable[[], object], repeats: int) -> float:
    """Seconds that it takes at least, once it has run; without repeats those of the first time."""
    times = []
    for _ in range(1 + repeats):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times[1:] or times)


def _steps(trainer: Training, batches: Sequence[list[Item]]) -> None:
    noise = torch.Generator(trainer.device).manual_seed(0)
    for items in batches:
        trainer.training_step(items, noise)


def matrix_rate(size: int = 2048, repeats: int = 5) -> float:
    """FLOPs a second of a square float32 product, on as many threads as torch has: the median of some."""
    left, right = torch.randn(2, size, size).unbind(0)
    left @ right
    rates = []
    for _ in range(repeats):
        begun = time.perf_counter()
        left @ right
        rates.append(2.0 * size**3 / (time.perf_counter() - begun))
    return statistics.median(rates)
