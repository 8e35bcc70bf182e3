"""What tests of the trainer ask of a trial: its parameters as one vector, and what its steps were given."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from xtts.model.xtts import Batch, Noise
from xtts.training.training import Training


def parameters(trainer: Training) -> torch.Tensor:
    """All parameters, one after the other."""
    return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()]).clone()


def gradient_norm(trainer: Training) -> float:
    """Of the last step, after clipping."""
    gradient = trainer.parameters.flat.grad
    assert gradient is not None
    return float(torch.linalg.vector_norm(gradient))


@dataclass
class Watched:
    """Batches, noise and raw losses of every training step."""

    batches: list[Batch] = field(default_factory=list)
    noises: list[Noise] = field(default_factory=list)
    losses: list[dict[str, float]] = field(default_factory=list)


def watch(trainer: Training) -> Watched:
    """Note what the model's losses are asked for from now on."""
    watched, losses = Watched(), trainer.model.losses

    def noting(batch: Batch, noise: Noise) -> dict[str, torch.Tensor]:
        found = losses(batch, noise)
        watched.batches.append(batch)
        watched.noises.append(noise)
        watched.losses.append({name: float(value.detach()) for name, value in found.items()})
        return found

    trainer.model.losses = noting  # type: ignore[method-assign]
    return watched


def comparable(metrics: dict[str, object]) -> dict[str, object]:
    """Metrics without wall time."""
    kept = {name: value for name, value in metrics.items() if not name.startswith("seconds")}
    if "evaluations" in kept:
        kept["evaluations"] = [
            {name: value for name, value in one.items() if name != "seconds"}
            for one in metrics["evaluations"]  # type: ignore[attr-defined]
        ]
    return kept
