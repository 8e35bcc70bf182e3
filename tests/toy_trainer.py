"""A trainer that learns nothing in no time: a smooth function of the weights that decays by epoch, with seeded noise.

Further parameters make it misbehave: `slow` (seconds an epoch), `raise_at`, `nan_at`, `hang_at`, `kill_at`,
`exit_once_at` (epochs; a file in `data` remembers that it happened), `best_mel`, `best_rate` (where the minimum lies;
None: anywhere), `noise`.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from sweeps.trainer import Trainer

DEFAULTS: dict[str, object] = {
    "mel_loss_weight": 2.5,
    "kl_loss_weight": 1.0,
    "gradient_clip_norm": 0.5,
    "learning_rate": 1e-3,
    "mel_normalisation": "standard",
    "loss_value_clip": None,
    "best_mel": 2.0,
    "best_rate": None,
    "noise": 0.001,
    "slow": 0.0,
    "raise_at": 0,
    "raise_above_mel": None,
    "raise_once_at": 0,
    "nan_at": 0,
    "nan_above_mel": None,
    "hang_at": 0,
    "kill_at": 0,
    "kill_once_at": 0,
    "hang_once_at": 0,
}


class ToyTrainer(Trainer):
    """Derived from the base class, as somebody's own would be."""

    def __init__(self, params: Mapping[str, object], data: str, seed: int) -> None:
        self.params = {**DEFAULTS, **params}
        self.data = data
        self.epoch = 0
        self.generator = np.random.default_rng(seed)
        self.weights = self.generator.normal(size=(4, 3)).astype(np.float32)
        self.threads = 0

    @classmethod
    def default_params(cls) -> Mapping[str, object]:
        """All the parameters it knows."""
        return DEFAULTS

    def set_threads(self, count: int) -> None:
        """Remember how many threads it may use."""
        self.threads = count

    def train_epoch(self) -> Mapping[str, object]:
        """One epoch of nothing."""
        self.epoch += 1
        self._misbehave()
        self.weights *= np.float32(0.9)
        noise = self._number("noise") * self.generator.normal()
        if self.epoch == self.params["nan_at"] and self._above("nan_above_mel"):
            return {"objective": math.nan, "loss": math.nan, "diverged": {"step": 7, "term": "mel", "value": "nan"}}
        mel, kl, clip = (
            self._number(name, 1.0) for name in ("mel_loss_weight", "kl_loss_weight", "gradient_clip_norm")
        )
        floor = 0.5 + 0.05 * math.log(mel / self._number("best_mel")) ** 2
        floor += 0.02 * math.log(kl) ** 2 + 0.01 * math.log(clip / 0.5) ** 2
        if self.params["best_rate"] is not None:
            floor += 0.02 * math.log(self._number("learning_rate") / self._number("best_rate")) ** 2
        objective = floor + 0.5 * math.exp(-self.epoch / 3) + noise
        total = mel * objective
        return {
            "objective": objective,
            "val/next": objective * 0.9,
            "loss": total,
            "loss_first": total + 1,
            "loss_last": total,
            "loss_max": total + 2,
            "train/clip_fraction": 0.25,
            "train/kl": 0.1,
            "updates": 10 * self.epoch,
            "audio_seconds": 100.0 * self.epoch,
            "mean_frame_error": 1.0,
            "threads": self.threads,
        }

    def state_dict(self) -> dict[str, object]:
        """Everything that the next epoch depends on."""
        return {"epoch": self.epoch, "weights": self.weights, "generator": self.generator.bit_generator.state}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from there."""
        self.epoch = int(str(state["epoch"]))
        self.weights = np.asarray(state["weights"])
        self.generator.bit_generator.state = cast(Mapping[str, Any], state["generator"])

    def export_best(self, folder: Path) -> None:
        """Write what there is to write."""
        (folder / "toy.txt").write_text(f"epoch {self.epoch}\n")

    def _number(self, name: str, default: float = 0.0) -> float:
        value = self.params[name]
        return float(value) if isinstance(value, (int, float)) else default

    def _above(self, name: str) -> bool:
        return self.params[name] is None or self._number("mel_loss_weight") > self._number(name)

    def _once(self, name: str) -> bool:
        marker = Path(self.data) / f"{name}-{self._number('mel_loss_weight')}"
        if self.epoch != self.params[name] or marker.exists():
            return False
        marker.touch()
        return True

    def _misbehave(self) -> None:
        time.sleep(self._number("slow"))
        if self.epoch == self.params["raise_at"] and self._above("raise_above_mel"):
            raise ValueError(f"the toy broke in epoch {self.epoch}")
        if self._once("raise_once_at"):
            raise ValueError("the toy broke once")
        if self.epoch == self.params["kill_at"] or self._once("kill_once_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.epoch == self.params["hang_at"] or self._once("hang_once_at"):
            time.sleep(10_000)


class MaximisedToyTrainer(ToyTrainer):
    """The same toy, with an objective of which more is better."""

    objective_mode = "max"

    def train_epoch(self) -> Mapping[str, object]:
        """The same epoch, its objective as a score."""
        report = dict(super().train_epoch())
        return {**report, **{name: -float(str(report[name])) for name in ("objective", "mean_frame_error")}}
