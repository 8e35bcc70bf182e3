"""How fast: a step against a matrix product of the same machine, and trials side by side on one device."""

from __future__ import annotations

import statistics
from functools import partial
from itertools import islice

import torch

from benchmarks.gpu_sections.bench import Bench, Found, batches_of, on_gpu, run_steps, timed
from benchmarks.packed import kernel_share, side_by_side
from benchmarks.useful_work import flops
from xtts.audio.mel import PATCH_FRAMES
from xtts.training.batch_size import FRAME_BUDGETS


def matrix_rates(bench: Bench) -> dict[str, float]:
    """FLOPs a second of a large square product, by type, as torch is set up for training."""
    size = 8192 if on_gpu() and not bench.small else 1024
    rates = {}
    for name, dtype in {"float32": torch.float32, "bf16": torch.bfloat16}.items():
        left, right = torch.randn(2, size, size, device="cuda" if on_gpu() else "cpu").to(dtype).unbind(0)
        left @ right
        seconds = statistics.median(timed(partial(torch.matmul, left, right)) for _ in range(7))
        rates[name] = 2.0 * size**3 / seconds
    return rates


def speed(bench: Bench) -> Found:
    """A step at the preset's own batch size: how fast, and how much of the device it uses."""
    rates = matrix_rates(bench)
    found: Found = {"matrix_product": rates, "models": {}}
    product = rates["bf16" if on_gpu() else "float32"]
    for model in bench.presets:
        training = bench.training(model, batch_frames=FRAME_BUDGETS[model] if on_gpu() else 0)
        steps = bench.count(40, 4)
        batches = list(islice(batches_of(training), steps))
        run_steps(training, min(steps, 8))
        seconds = timed(partial(run_steps, training, steps)) / steps
        frames = sum(int(training.batches.speech.frames[item.clip]) for items in batches for item in items) / steps
        work = flops(training, batches[:2]) / 2
        found["models"][model] = {
            "step_seconds": seconds,
            "frames_a_batch": frames,
            "frames_a_second": frames / seconds,
            "patches_a_second": frames / PATCH_FRAMES / seconds,
            "flops_a_second": work / seconds,
            "goodput": work / seconds / product,
            "kernel_share": kernel_share(training) if on_gpu() else None,
        }
    return found


def packed(bench: Bench) -> Found:
    """Trials side by side on one device, each a process: updates a second of all together."""
    found: Found = {}
    for model in bench.small_presets:
        for trials in (1, 2, 4)[: bench.count(3, 2)]:
            if bench.left() < 45.0:
                return found | {"skipped": "no time left"}
            ends = side_by_side({"model": model, "precision": "auto"}, bench.handle, trials)
            found[f"{model} x {trials}"] = {
                "updates_a_second": sum(one.updates for one in ends),
                "frames_a_second": sum(one.frames for one in ends),
                "memory_bytes": sum(one.memory for one in ends),
            }
    return found
