"""Does it train, and is it right: losses that fall, bf16 against float32, equal runs, waits, learning against a CPU."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.gpu_sections.bench import COMMAND, Bench, Found, on_gpu, run_steps, timed
from xtts.training.batch_size import FRAME_BUDGETS
from xtts.training.memory import peak_bytes
from xtts.training.training import Training


def presets(bench: Bench) -> Found:
    """Every preset: does its loss fall, and how much memory does its own batch size take?"""
    found: Found = {}
    for model in bench.presets:
        if on_gpu():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        training = bench.training(model)
        steps = bench.count(80, 12)
        rows: list[Tensor] = []
        seconds = timed(partial(_keep_steps, rows, training, steps))
        losses = rows[0][:, 0].double().cpu()
        tenth = max(steps // 8, 1)
        first, last = float(losses[:tenth].mean()), float(losses[-tenth:].mean())
        found[model] = {
            "parameters": training.parameters.flat.numel(),
            "batch_frames": training.batch_size.frames,
            "steps": steps,
            "seconds": seconds,
            "loss_first": first,
            "loss_last": last,
            "falls": last < first,
        }
        del training
        if on_gpu():
            found[model] |= _memory(bench, model)
    return found


def _keep_steps(rows: list[Tensor], training: Training, steps: int) -> None:
    rows.append(run_steps(training, steps))


def _memory(bench: Bench, model: str) -> Found:
    """Peak of a few steps with the preset's own batch size, and what was estimated for it."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    frames = FRAME_BUDGETS[model]
    run_steps(bench.training(model, batch_frames=frames), 3)
    return {
        "memory_frames": frames,
        "memory_bytes": torch.cuda.max_memory_allocated(),
        "memory_estimate": peak_bytes(model, frames),
    }


def precision(bench: Bench) -> Found:
    """The same steps in bf16 autocast and in float32, from the same weights; equal by construction on a CPU."""
    found: Found = {}
    for model in bench.small_presets:
        ends = {}
        for name in ("auto", "float32"):
            training = bench.training(model, precision=name)
            losses = run_steps(training, bench.count(200, 8))[:, 0].double().cpu()
            objective = float(training.evaluator.evaluate(training.model).objective)
            ends[name] = {"loss": float(losses[-20:].mean()), "objective": objective}
        found[model] = {
            "bf16": ends["auto"],
            "float32": ends["float32"],
            "objective_change": ends["auto"]["objective"] / ends["float32"]["objective"] - 1.0,
        }
    return found


def determinism(bench: Bench) -> Found:
    """Two equal runs."""
    found: Found = {}
    for model in bench.small_presets:
        ends = []
        for _ in range(2):
            training = bench.training(model)
            run_steps(training, bench.count(60, 6))
            ends.append(training.parameters.flat.detach().double().cpu())
        found[model] = {"equal": torch.equal(*ends), "largest_difference": float((ends[0] - ends[1]).abs().max())}
    return found


def waits(bench: Bench) -> Found:
    """How often the host waits for the device in an epoch, and where; None without a device."""
    if not on_gpu():
        return {"an_epoch": None}
    training = bench.training("tiny")
    training.train_epoch()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        metrics = training.train_epoch()
        torch.cuda.set_sync_debug_mode("default")
    places = Counter(f"{Path(w.filename).name}:{w.lineno}" for w in caught if "synchroniz" in str(w.message))
    return {"an_epoch": places.total(), "updates": metrics["updates"], "places": dict(places)}


def learning(bench: Bench) -> Found:
    """The metrics after some epochs on both devices, over the same seeds."""
    found: Found = {}
    for model, epochs, seeds in (("tiny", bench.count(6, 1), bench.count(4, 2)), ("small", 3, 3)):
        if bench.small and model == "small":
            continue
        there = [learned(bench.training(model, seed), epochs) for seed in range(1, seeds + 1)] if on_gpu() else []
        here = _learned_on_cpu(bench, model, epochs, seeds)
        found[model] = {"epochs": epochs, "seeds": seeds, "gpu": there, "cpu": here}
        for name in ("objective", "text_use") if on_gpu() else ():
            gpu, cpu = ([one[name] for one in ends] for ends in (there, here))
            # Seeds are not paired: random numbers of a GPU are others than a CPU's.
            error = ((statistics.variance(gpu) + statistics.variance(cpu)) / seeds) ** 0.5
            difference = statistics.mean(gpu) - statistics.mean(cpu)
            found[model][name] = {
                "difference": difference,
                "standard_error": error,
                "within": abs(difference) < 3 * error,
            }
    return found


def learned(training: Training, epochs: int) -> Found:
    """Of the last epoch."""
    metrics = [training.train_epoch() for _ in range(epochs)][-1]
    return {name: metrics[name] for name in ("objective", "text_use", "text_use_low", "loss", "seconds")}


def _learned_on_cpu(bench: Bench, model: str, epochs: int, seeds: int) -> list[Found]:
    """Processes side by side, each on its share of the cores."""
    threads = str(max(1, len(os.sched_getaffinity(0)) // seeds))
    processes = [
        subprocess.Popen(
            [sys.executable, str(COMMAND), "--prepared", bench.handle, "--learn", json.dumps([model, seed, epochs])],
            env={**os.environ, "OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": ""},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(1, seeds + 1)
    ]
    try:
        return [json.loads(process.communicate(timeout=max(bench.left(), 1.0))[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
