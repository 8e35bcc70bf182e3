"""The default against the methods that need no sweep: a learned decoder scale and EnCodec's gradient balancer.

    python benchmarks/rivals.py --data DIR              # 6 epochs, seed 1, judged on the validation split
    python benchmarks/rivals.py --demo --seeds 3        # the same on the demo speech, three seeds

Needs torch and librosa, not Ray. One row a trial: "s/epoch" is training alone, the KL weight the last epoch's mean.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from xtts.trainer import XttsTrainer

COLUMNS = ("objective", "val/next", "val/mel", "val/kl", "val/nll", "text_use", "train/kl_weight")


def main() -> int:
    """Train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    if (options.data is None) != options.demo:
        parser.error("give --data DIR or --demo")
    torch.set_num_threads(options.threads)
    prepared = XttsTrainer.prepare(options.data, None, progress=lambda done, total, what: None)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {options.threads} threads"
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {device}, {options.epochs} epochs")
    print("\n".join(prepared.lines()), "\n")
    names = [column.removeprefix("train/").removeprefix("val/") for column in COLUMNS]
    print(f"{'':10} seed s/epoch " + " ".join(f"{name:>13}" for name in (*names, "mcd dB", "f0 cents")))
    rivals = {"default": {}, **XttsTrainer.rivals()}
    for seed in range(1, options.seeds + 1):
        for name, params in rivals.items():
            metrics, spoken = _train({"model": options.model, **params}, prepared.data, seed, options.epochs)
            values = [metrics[column] for column in COLUMNS]
            values += [spoken["mcd_db"]["mean"], spoken["f0_cents"]["mean"] or float("nan")]
            cells = " ".join(f"{value:13.4f}" for value in values)
            print(f"{name:10} {seed:4d} {metrics['seconds'] / options.epochs:7.2f} {cells}", flush=True)
    return 0


def _train(params: dict[str, Any], data: str, seed: int, epochs: int) -> tuple[dict[str, Any], dict[str, Any]]:
    trainer = XttsTrainer(params, data, seed)
    metrics: dict[str, Any] = {}
    for _ in range(epochs):
        metrics = dict(trainer.train_epoch())
    return metrics, dict(trainer.speech_figures())


if __name__ == "__main__":
    raise SystemExit(main())
