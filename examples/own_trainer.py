"""A trainer of your own in one file: anything that trains by epochs can be swept.

    python run_sweep.py --trainer examples.own_trainer:LineTrainer --space safe_weights --trials 8 --epochs 6

A sweep starts it from params + data + seed, asks for one epoch at a time, and keeps its state in checkpoints, so that a
trial continues after a crash. `objective` must not contain a searched weight: it is what configs are ranked by.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sweeps.trainer import Trainer


class LineTrainer(Trainer):
    """Fits a line under two weighted losses, with AdamW and a gradient clip."""

    def __init__(self, params: Mapping[str, object], data: str, seed: int) -> None:
        self._params = {name: float(str(value)) for name, value in params.items()}
        draw = torch.Generator().manual_seed(seed)
        self._x = torch.randn(256, 4, generator=draw)
        self._y = self._x @ torch.tensor([1.0, -2.0, 0.5, 0.0]) + 0.1 * torch.randn(256, generator=draw)
        self._weight = torch.zeros(4, requires_grad=True)
        self._optimiser = torch.optim.AdamW([self._weight], lr=self._params["learning_rate"])

    @classmethod
    def default_params(cls) -> Mapping[str, object]:
        """The known names: a sweep refuses any other, with a hint."""
        return {"mel_loss_weight": 2.5, "kl_loss_weight": 1.0, "gradient_clip_norm": 0.5, "learning_rate": 0.05}

    def train_epoch(self) -> Mapping[str, object]:
        """One pass; raw terms are reported with the weighted loss, and only the objective is ranked."""
        for rows in torch.arange(256).split(32):
            error = (self._x[rows] @ self._weight - self._y[rows]).abs().mean()
            size = self._weight.square().mean()
            loss = self._params["mel_loss_weight"] * error + self._params["kl_loss_weight"] * size
            self._optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([self._weight], self._params["gradient_clip_norm"])
            self._optimiser.step()
        with torch.no_grad():
            objective = (self._x @ self._weight - self._y).abs().mean()
        return {"objective": float(objective), "loss": float(loss), "train/error": float(error)}

    def state_dict(self) -> dict[str, object]:
        """Tensors, numbers and words in dicts and lists: no pickle is involved."""
        return {"weight": self._weight.detach().clone(), "optimiser": self._optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue from what state_dict returned."""
        with torch.no_grad():
            self._weight.copy_(state["weight"])  # type: ignore[arg-type]
        self._optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]
