"""How many trials run side by side and on how many threads, from the machine or as asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from sweeps.common.errors import RequestError

GPU_SIGNS = (
    "/proc/driver/nvidia",
    "/dev/nvidiactl",
    "/dev/dxg",
    "/dev/kfd",
    "/dev/nvhost-gpu",
)  # Linux, WSL, AMD, Jetson
TRIAL_BYTES = 1 << 30  # a worker with torch and a small model; only keeps tiny machines from thrashing


@dataclass(frozen=True)
class Machine:
    """What this process may use."""

    cores: int
    memory_bytes: int
    gpus: int


@dataclass(frozen=True)
class Resources:
    """Trials side by side, threads and resources of each; stored with the run and used again by resume."""

    concurrent: int
    threads: int
    cpus_per_trial: float
    gpus_per_trial: float
    cores: int
    gpus: int
    nodes: int = 1
    follows_nodes: bool | None = None
    """On a cluster: whether as many trials run as the nodes have room for, also when nodes join; None on one machine"""
    updates_per_second: Mapping[str, float] | None = None
    """Of all trials together, by 'trials x threads', where that was measured to choose between them"""

    def __str__(self) -> str:
        trials = "trial" if self.concurrent == 1 else "trials"
        threads = "thread" if self.threads == 1 else "threads"
        gpu = f", {self.gpus_per_trial:g} of {self.gpus} GPUs each" if self.gpus_per_trial else ""
        where = f"{self.cores} cores" + (f" of {self.nodes} nodes" if self.nodes > 1 else "")
        rates = (self.updates_per_second or {}).items()
        measured = ", ".join(f"{layout.replace('x', ' x ')} {rate:.3g}" for layout, rate in rates)
        why = f" (measured, trials x threads: {measured} updates a second)" if measured else ""
        return f"{self.concurrent} {trials} at a time, {self.threads} {threads} each, on {where}{gpu}{why}"

    def as_dict(self) -> dict[str, object]:
        """Plain data for sweep.yaml."""
        return asdict(self)


def resources_from_mapping(given: Mapping[str, object]) -> Resources:
    """The plan that sweep.yaml holds."""
    try:
        return Resources(**given)  # type: ignore[arg-type]
    except TypeError as error:
        raise RequestError(f"sweep.yaml, plan: {error}") from error


def impossible_shares(concurrent: int | None, cpus_per_trial: float | None, gpus_per_trial: float | None) -> list[str]:
    """What no machine can give, one line each."""
    problems = [
        f"{name} {value:g}: must be above 0"
        for name, value in (("--concurrent", concurrent), ("--cpus-per-trial", cpus_per_trial))
        if value is not None and not value > 0  # nor is what is no number
    ]
    if gpus_per_trial is not None and not gpus_per_trial >= 0:
        problems.append(f"--gpus-per-trial {gpus_per_trial:g}: must not be negative")
    elif gpus_per_trial is not None and gpus_per_trial > 1 and gpus_per_trial % 1:
        problems.append(f"--gpus-per-trial {gpus_per_trial:g}: above 1 it must be a whole number of GPUs")
    return problems


def room_on_gpus(gpus: float, gpus_each: float) -> int:
    """How many trials GPUs hold: a share of a GPU is of one card, so that of two cards each holds two of 0.4."""
    if gpus_each < 1:
        return int(gpus) * int(1 / gpus_each + 1e-9)
    return int(gpus / gpus_each + 1e-9)


def plan_resources(
    machine: Machine,
    trials: int,
    *,
    concurrent: int | None = None,
    cpus_per_trial: float | None = None,
    gpus_per_trial: float | None = None,
) -> Resources:
    """As many trials as the machine has cores (or GPUs) for; RequestError where what was asked for does not fit."""
    problems = impossible_shares(concurrent, cpus_per_trial, gpus_per_trial)
    if cpus_per_trial is not None and cpus_per_trial > machine.cores:
        problems.append(f"--cpus-per-trial {cpus_per_trial:g}: this machine has {machine.cores} cores")
    if gpus_per_trial is not None and gpus_per_trial > machine.gpus:
        problems.append(f"--gpus-per-trial {gpus_per_trial:g}: this machine has {machine.gpus} GPUs")
    gpus_each = float(min(machine.gpus, 1)) if gpus_per_trial is None else gpus_per_trial
    on_gpus = room_on_gpus(machine.gpus, gpus_each) if gpus_each > 0 else None
    if concurrent is not None and on_gpus is not None and concurrent > on_gpus:
        problems.append(f"--concurrent {concurrent}: {machine.gpus} GPUs hold {on_gpus} trials of {gpus_each:g} each")
    if problems:
        raise RequestError("; ".join(problems))
    if concurrent is None:
        room = on_gpus if on_gpus is not None else int(machine.cores / (cpus_per_trial or 1))
        concurrent = max(min(room, trials, machine.memory_bytes // TRIAL_BYTES), 1)
    threads = max(int(cpus_per_trial) if cpus_per_trial else machine.cores // concurrent, 1)
    cpus = min(cpus_per_trial or threads, machine.cores / concurrent)
    return Resources(concurrent, threads, cpus, gpus_each, machine.cores, machine.gpus)


def this_machine() -> Machine:
    """What this process may use: its CPU affinity and cgroup quota, free memory, visible GPUs."""
    return Machine(_cores(), _memory_bytes(), _gpus())


def _cores() -> int:
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(min(affinity, int(int(quota) / int(period))), 1)
    except (OSError, ValueError):
        return affinity


def _memory_bytes() -> int:
    try:
        available = next(
            int(line.split()[1]) * 1024
            for line in Path("/proc/meminfo").read_text().splitlines()
            if line.startswith("MemAvailable:")
        )
    except (OSError, StopIteration):
        return 1 << 40
    try:
        return min(available, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return available


def hidden_gpus(gpus: int) -> str:
    """What CUDA_VISIBLE_DEVICES asks for and this machine has not, in one line; empty where they agree."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    asked = [device for device in visible.split(",") if device.strip() not in ("", "-1")]
    if len(asked) <= gpus:
        return ""
    return (
        f"CUDA_VISIBLE_DEVICES={visible}: this machine has {gpus or 'none'} of these GPUs; the plan uses what is there"
    )


def _gpus() -> int:
    """As many GPUs as torch sees: what CUDA_VISIBLE_DEVICES names need not be there."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return 0
    if sys.platform == "linux" and "torch" not in sys.modules and not any(map(os.path.exists, GPU_SIGNS)):
        return 0  # without the second that torch takes to import
    try:
        import torch
    except ImportError:
        return 0
    return int(torch.cuda.device_count())
