"""Does the model learn, and does it use its text? The default config over several seeds, one after the other.

    python benchmarks/learning.py --data DIR            # objective, text_use and seconds an epoch, by seed
    python benchmarks/learning.py --demo --epochs 9     # the same on the demo speech
    python benchmarks/learning.py --prepared HANDLE --model small   # on a machine with torch but no audio packages

Needs torch, not Ray. Exit code 1 where a target of the project is missed: objective at most 0.56, text_use at
least 0.08 with every seed's interval clear of 0, at most 12 s of training an epoch (2 cores, 16 minutes of speech,
`tiny`).
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from xtts.trainer import XttsTrainer
from xtts.training.training import Training

COLUMNS = (
    ("objective", "objective"),
    ("next", "val/next"),
    ("free", "val/free"),
    ("mel", "val/mel"),
    ("kl", "val/kl"),
    ("nll", "val/nll"),
    ("skill", "skill"),
    ("text_use", "text_use"),
    ("low", "text_use_low"),
    ("high", "text_use_high"),
    ("clipped", "train/clip_fraction"),
    ("norm p50", "train/grad_norm_p50"),
    ("loss", "loss"),
)


def main() -> int:
    """Train, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--prepared", metavar="HANDLE", help="a folder that was prepared elsewhere, as 'data' names it")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    if sum([options.data is not None, options.demo, options.prepared is not None]) != 1:
        parser.error("give one of --data DIR, --demo and --prepared HANDLE")
    torch.set_num_threads(options.threads)
    begun = time.perf_counter()
    handle, lines = options.prepared, []
    if handle is None:
        prepared = XttsTrainer.prepare(options.data, None, progress=lambda done, total, what: None)
        handle, lines = prepared.data, prepared.lines()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {options.threads} threads"
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {device}")
    print("\n".join([*lines, f"data {handle}"]), f"\nprepared in {time.perf_counter() - begun:.1f} s\n")
    ends = [_train(options, handle, seed) for seed in range(1, options.seeds + 1)]
    objective = sum(end["objective"] for end in ends) / len(ends)
    text_use = sum(end["text_use"] for end in ends) / len(ends)
    lowest = min(end["text_use_low"] for end in ends)
    slowest = max(end["epoch_seconds"] for end in ends)
    print(
        f"\nmean of {len(ends)} seeds: objective {objective:.4f}, text_use {text_use:.4f} (lowest bound {lowest:.4f})"
    )
    print(f"slowest epoch: {slowest:.1f} s of training")
    missed = objective > 0.56 or text_use < 0.08 or lowest <= 0 or slowest > 12
    print("a target is missed" if missed else "all targets are met")
    return int(missed)


def _train(options: argparse.Namespace, data: str, seed: int) -> dict[str, Any]:
    trainer = Training({"model": options.model}, data, seed)
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    print(f"seed {seed}: {parameters / 1e6:.2f} M parameters")
    print("epoch updates train s eval s " + " ".join(f"{name:>9}" for name, _ in COLUMNS))
    before, slowest = 0.0, 0.0
    metrics: dict[str, Any] = {}
    for epoch in range(1, options.epochs + 1):
        begun = time.perf_counter()
        metrics = dict(trainer.train_epoch())
        wall = time.perf_counter() - begun
        training = metrics["seconds"] - before
        before, slowest = metrics["seconds"], max(slowest, training)
        cells = " ".join(f"{metrics[key]:9.4f}" for _, key in COLUMNS)
        print(f"{epoch:5d} {metrics['updates']:7d} {training:7.2f} {wall - training:6.2f} {cells}", flush=True)
    print(
        f"      {metrics['frames_per_batch']:.0f} frames a batch, {100 * metrics['padding_fraction']:.1f} % padding,"
        f" mean-frame error {metrics['mean_frame_error']:.4f}\n"
    )
    return metrics | {"epoch_seconds": slowest}


if __name__ == "__main__":
    raise SystemExit(main())
