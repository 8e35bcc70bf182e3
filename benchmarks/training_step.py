"""One training step on this processor: what it costs as it is, and by what was tried instead.

    python benchmarks/training_step.py --data DIR             # or without: on the demo speech
    python benchmarks/training_step.py --variants plain,bf16  # without the minutes that torch.compile takes
    python benchmarks/training_step.py --profile              # what the step is made of, by torch's profiler

Every variant is a process of its own on one thread and takes the same batches of the model's first epoch: `plain` is
the trainer's step; `bf16` the same under bfloat16 autocast; `frames N` with batches of N frames; `compiled` with
`torch.compile(dynamic=True)`, first with an empty cache, then with the cache that the first one left. A compiled
trial breaks even after as many epochs as its saving needs to pay for its first steps. `plain` runs first and last: the
two say how steady the machine is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from benchmarks.useful_work import flops, matrix_rate, step_seconds  # noqa: E402
from xtts.data.build_dataset import no_progress  # noqa: E402
from xtts.trainer import XttsTrainer  # noqa: E402
from xtts.training.training import Training  # noqa: E402

VARIANTS = ("plain", "bf16", "frames 2000", "frames 4000", "frames 8000", "compiled cold", "compiled warm", "plain")
ROW = "{:<15}{:>9}{:>13}{:>14}{:>13}{:>26}"
SAMPLED = 24
"""Batches that are timed, evenly spread over an epoch"""


def main() -> None:
    """Measure each variant in its process, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="a folder of speech (default: the demo speech)")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="which, in this order (default: all)")
    parser.add_argument("--profile", action="store_true", help="only the operations of the plain step")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    prepared = XttsTrainer.prepare(options.data, None, progress=no_progress)
    if options.profile:
        profile(prepared.data, options.model)
        return
    if options.one is not None:
        print(json.dumps(measure(options.one, prepared.data, options.model)))
        return
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, load {os.getloadavg()[0]:.1f}")
    print(prepared.lines()[0])
    print(ROW.format("variant", "a step", "1000 frames", "of a product", "first steps", "break-even"))
    plain: dict[str, float] | None = None
    with tempfile.TemporaryDirectory(prefix="inductor-") as cache:
        for variant in options.variants.split(","):
            command = [sys.executable, __file__, "--one", variant, "--model", options.model]
            command += ["--data", options.data] if options.data else []
            environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache}
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            plain = plain or found
            times = (f"{1e3 * found['step']:.1f} ms", f"{1e6 * found['frame']:.1f} ms", f"{100 * found['share']:.1f} %")
            print(ROW.format(variant, *times, f"{found['first']:.1f} s", break_even(found, plain)), flush=True)


def measure(variant: str, data: str, model: str) -> dict[str, float]:
    """Seconds of a step and of a frame, the share of a matrix product's rate, and what the first steps took more."""
    torch.set_num_threads(1)
    kind, _, given = variant.partition(" ")
    trainer = Training({"model": model, "batch_frames": int(given) if kind == "frames" else 0}, data, 1)
    epoch = trainer.train_batches(1)
    batches = epoch[:: max(1, len(epoch) // SAMPLED)][:SAMPLED]
    work, before = flops(trainer, batches), matrix_rate(1024)
    losses: Any = trainer.model.losses
    if kind == "compiled":
        losses = torch.compile(losses, dynamic=True)

    def under_autocast(*inputs: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16) if kind == "bf16" else _nothing():
            return losses(*inputs)

    trainer.model.losses = under_autocast  # type: ignore[method-assign,assignment]
    begun = time.perf_counter()
    step_seconds(trainer, batches, repeats=1)
    first = time.perf_counter() - begun
    seconds = step_seconds(trainer, batches)
    rate = (before + matrix_rate(1024)) / 2.0
    frames = sum(int(trainer.batches.speech.frames[item.clip]) for items in batches for item in items)
    return {
        "step": seconds / len(batches),
        "frame": seconds / frames,
        "share": work / seconds / rate,
        "first": max(0.0, first - 2.0 * seconds),
        "updates": float(len(epoch)),
    }


def profile(data: str, model: str, shown: int = 15) -> None:
    """Print which operations a step's time goes to, and what its matrix products come to by themselves."""
    torch.set_num_threads(1)
    trainer = Training({"model": model}, data, 1)
    batches = trainer.train_batches(1)[:SAMPLED]
    step_seconds(trainer, batches, repeats=1)
    work, rate = flops(trainer, batches), matrix_rate(1024)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
        step_seconds(trainer, batches, repeats=0)
    found = sorted(profiled.key_averages(), key=lambda one: -one.self_cpu_time_total)
    total = sum(one.self_cpu_time_total for one in found)
    for one in found[:shown]:
        each = one.self_cpu_time_total / len(batches)
        print(f"{one.key[:50]:<52}{each / 1e3:6.2f} ms{100 * one.self_cpu_time_total / total:6.1f} %", end="")
        print(f"{one.count / len(batches):7.0f} a step")
    products = sum(one.self_cpu_time_total for one in found if one.key in ("aten::mm", "aten::addmm"))
    print(f"\nall {total / 1e3 / len(batches):.1f} ms; products {100 * products / total:.0f} %,", end=" ")
    print(f"which alone run at {work / (products / 1e6) / rate:.2f} of a large product's rate")


def _nothing() -> AbstractContextManager[None]:
    return nullcontext()


def break_even(found: dict[str, float], plain: dict[str, float]) -> str:
    """After how many epochs of one worker the first steps have paid for themselves; nothing where there were none."""
    if found["first"] < 1.0:
        return ""
    saved = (plain["step"] - found["step"]) * found["updates"]
    return f"after {found['first'] / saved:.0f} epochs a worker" if saved > 0 else "never"


if __name__ == "__main__":
    main()
