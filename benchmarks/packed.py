"""Trials side by side on one device, with torch alone: what each and all get done, and where the device waits.

    python benchmarks/packed.py --data DIR                                   # prepares the speech, then measures
    python benchmarks/packed.py --prepared HANDLE --models small,base        # on a machine without audio packages
    python benchmarks/packed.py --demo --models tiny --packed 1,2            # on a CPU, to see that it works

Every trial is a process of its own, as in a sweep with `--gpus-per-trial 1`, 0.5 and 0.25. All begin their measured
epoch together, after one to warm up. Shares are of a process's own wall time: waiting for batches, training,
validation. `kernels` is the time in which torch's profiler saw the GPU at work, over that of the steps it watched,
summed over the processes: what is missing to 100 % is what the GPU waited. `auto` precision is bf16 autocast on a GPU
and float32 on a CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from xtts.trainer import XttsTrainer  # noqa: E402
from xtts.training.training import Training  # noqa: E402

PROFILED_STEPS = 20
ACTIVITIES = [torch.profiler.ProfilerActivity.CUDA]
ROW = "{:<8}{:<10}{:>7}{:>13}{:>12}{:>13}{:>8}{:>10}{:>12}{:>10}{:>12}"


@dataclass(frozen=True)
class Measured:
    """Of one process."""

    updates: float
    """A second, over the whole epoch but its validation"""
    frames: float
    """Mel frames a second, the same"""
    data: float
    training: float
    validation: float
    """Shares of the epoch's wall time"""
    kernels: float | None
    """Share of the steps' wall time; None on a CPU"""
    memory: float
    """Largest on the GPU, bytes; 0 on a CPU"""


def main() -> None:
    """Measure every model, precision and number of trials at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--data", metavar="DIR", help="a folder of speech")
    given.add_argument("--demo", action="store_true", help="the demo speech")
    given.add_argument(
        "--prepared", metavar="HANDLE", help="speech that was prepared elsewhere, as learning.py says it"
    )
    parser.add_argument("--models", default="small,base", help="default: %(default)s")
    parser.add_argument("--packed", default="1,2,4", help="trials side by side (default: %(default)s)")
    parser.add_argument("--precisions", default="auto,float32", help="default: %(default)s")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        one(json.loads(options.one), options.prepared)
        return
    handle = options.prepared
    if handle is None:
        handle = XttsTrainer.prepare(options.data, None, progress=lambda done, total, what: None).data
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {os.cpu_count()} cores"
    print(
        f"{time.strftime('%Y-%m-%d')}, torch {torch.__version__}, Python {platform.python_version()}, {gpu}; {handle}"
    )
    names = ("model", "precision", "trials", "updates/s", "of all", "frames/s", "data", "training", "validation")
    print(ROW.format(*names, "kernels", "memory"))
    for model in options.models.split(","):
        for precision in options.precisions.split(","):
            for packed in map(int, options.packed.split(",")):
                params = {"model": model, "precision": precision}
                print(row(params, packed, side_by_side(params, handle, packed)), flush=True)


def side_by_side(params: dict[str, str], handle: str, packed: int) -> list[Measured]:
    """So many trials of the same parameters at once, each with its share of the cores."""
    threads = str(max(1, len(os.sched_getaffinity(0)) // packed))
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, "--prepared", handle, "--one", json.dumps(params | {"seed": number})],
            env={**os.environ, "OMP_NUM_THREADS": threads},
            stdin=pipe,
            stdout=pipe,
            text=True,
        )
        for number in range(1, packed + 1)
    ]
    try:
        for process in processes:
            if process.stdout is None or not process.stdout.readline():
                raise SystemExit("a trial could not be trained; what it said stands above")
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return [Measured(**json.loads(process.communicate()[0])) for process in processes]
    finally:
        for process in processes:
            process.kill()


def one(params: dict[str, object], handle: str) -> None:
    """In a process of its own: an epoch to warm up, then the measured one, then some steps under the profiler."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    seed = int(str(params.pop("seed")))
    trainer = Training(params, handle, seed)
    before = trainer.train_epoch()
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.perf_counter()
    after = trainer.train_epoch()
    wall = time.perf_counter() - begun
    data, validation = float(str(after["seconds_data"])), float(str(after["seconds_validation"]))
    updates = int(str(after["updates"])) - int(str(before["updates"]))
    frames = updates * float(str(after["frames_per_batch"]))
    busy = wall - validation
    cuda = torch.cuda.is_available()
    found = Measured(
        updates=updates / busy,
        frames=frames / busy,
        data=data / wall,
        training=(busy - data) / wall,
        validation=validation / wall,
        kernels=kernel_share(trainer) if cuda else None,
        memory=float(torch.cuda.max_memory_allocated()) if cuda else 0.0,
    )
    print(json.dumps(vars(found)))


def kernel_share(trainer: Training) -> float:
    """The time in which kernels of this process ran, over that of some training steps."""
    batches = trainer.train_batches(1)
    noise = torch.Generator("cuda").manual_seed(0)
    torch.cuda.synchronize()
    begun = time.perf_counter()
    with torch.profiler.profile(activities=ACTIVITIES) as profiled:
        for items in islice(cycle(batches), PROFILED_STEPS):
            trainer.training_step(items, noise)
        torch.cuda.synchronize()
        seconds = time.perf_counter() - begun
    microseconds: float = sum(one.self_device_time_total for one in profiled.key_averages())
    return microseconds / 1e6 / seconds


def row(params: dict[str, str], packed: int, found: list[Measured]) -> str:
    """One line: means over the processes, and sums over them where it says so."""

    def mean(name: str) -> float:
        return sum(float(getattr(one, name)) for one in found) / packed

    kernels = "-" if found[0].kernels is None else f"{100 * mean('kernels') * packed:.0f} %"
    return ROW.format(
        params["model"],
        params["precision"],
        packed,
        f"{mean('updates'):.2f}",
        f"{mean('updates') * packed:.2f}",
        f"{mean('frames') * packed:,.0f}",
        f"{100 * mean('data'):.1f} %",
        f"{100 * mean('training'):.1f} %",
        f"{100 * mean('validation'):.1f} %",
        kernels,
        f"{sum(one.memory for one in found) / 1e9:.2f} GB",
    )


if __name__ == "__main__":
    main()
