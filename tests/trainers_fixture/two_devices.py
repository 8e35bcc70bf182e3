"""A program that trains on all of its devices as torchrun would: a process each, gradients averaged over gloo.

Started once by the sweep, it starts itself once more for each device that CUDA_VISIBLE_DEVICES names.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
from pathlib import Path


def launch(options: argparse.Namespace) -> int:
    """A process for each device; the first that fails ends all."""
    devices = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(len(devices)), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, *sys.argv], env={**os.environ, **shared, "RANK": str(rank), "CUDA_VISIBLE_DEVICES": device}
        )
        for rank, device in enumerate(devices)
    ]
    while any(process.poll() is None for process in processes):
        if any(process.poll() for process in processes):
            for process in processes:
                process.kill()
        time.sleep(0.05)
    return max(abs(process.returncode) for process in processes) if processes else 3


def train(options: argparse.Namespace) -> int:
    """One process: a line fitted to this rank's half of the data, by averaged gradients."""
    import torch
    import torch.distributed as distributed

    distributed.init_process_group("gloo")
    rank, world = distributed.get_rank(), distributed.get_world_size()
    torch.manual_seed(options.seed)
    inputs = torch.randn(64, 1)[rank::world]
    weight = torch.zeros(1, 1)
    placed = torch.tensor([float(os.environ["CUDA_VISIBLE_DEVICES"])])
    places = [torch.zeros(1) for _ in range(world)]
    distributed.all_gather(places, placed)
    log = Path(options.folder) / "log.csv"
    if rank == 0:
        log.write_text("epoch,loss,world,devices\n")
    for epoch in range(1, options.epochs + 1):
        error = inputs @ weight - 3.0 * inputs
        both = torch.stack([(2 * inputs * error).mean(), (error**2).mean()])
        distributed.all_reduce(both)
        both /= world
        weight -= options.rate * both[0]
        if rank == 0:
            with log.open("a") as file:
                devices = "+".join(str(int(place)) for place in places)
                file.write(f"{epoch},{both[1].item()},{world},{devices}\n")
        time.sleep(options.sleep)
    distributed.destroy_process_group()
    return 0


def main() -> int:
    """Launch or, where it was launched, train."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--sleep", type=float, default=0.0)
    options = parser.parse_args()
    return train(options) if "RANK" in os.environ else launch(options)


if __name__ == "__main__":
    raise SystemExit(main())
