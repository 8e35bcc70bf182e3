"""The causal GPT prior p(z_t given z_<t, aligned text, voice)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from xtts.model.attention import Block, Rollout, rotary_table
from xtts.model.gaussian import Gaussian
from xtts.model.model_config import ModelConfig


@dataclass(frozen=True)
class Remembered:
    """What a pass over the true history leaves for rollouts: keys and values of each layer, voice latents first."""

    layers: tuple[tuple[Tensor, Tensor], ...]


class Prior(nn.Module):
    """A GPT over patches, after the voice latents. Place t sees the latents before t and the text at t."""

    def __init__(self, shape: ModelConfig) -> None:
        super().__init__()
        self.voice_latents = shape.voice_latents
        self.head_width = shape.width // shape.heads
        self.heads = shape.heads
        self.history = nn.Linear(shape.latent, shape.width)
        self.no_history = nn.Parameter(torch.zeros(shape.width))
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.out = nn.Linear(shape.width, 2 * shape.latent)

    def _inputs(self, before: Tensor, known: Tensor, text: Tensor) -> Tensor:
        """Latents before each place [..., latent], which of them are known [...], text at each place [..., width]."""
        history: Tensor = self.history(before)
        return torch.where(known[..., None], history, self.no_history) + text

    def _finish(self, states: Tensor) -> tuple[Tensor, Gaussian]:
        hidden = self.norm(states)
        return hidden, Gaussian.from_raw(self.out(hidden))

    def forward(
        self, latents: Tensor, kept: Tensor, text: Tensor, voice: Tensor
    ) -> tuple[Tensor, Gaussian, Remembered]:
        """One pass with true history.

        latents [batch, patches, latent]; kept [batch, patches] is False where the latent *before* a place is hidden
        from it; text [batch, patches, width]; voice [batch, voice latents, width] -> hidden states [batch, patches,
        width], the prior of every patch, and the keys and values. Padding is at the end, where a causal model
        cannot see it.
        """
        before = torch.roll(latents, 1, dims=1)
        known = kept.clone()
        known[:, 0] = False
        states = torch.cat([voice.expand(len(text), -1, -1), self._inputs(before, known, text)], dim=1)
        table = rotary_table(torch.arange(states.shape[1], device=states.device), self.head_width)
        layers = []
        for block in self.blocks:
            states, keys, values = block(states, table, causal=True)
            layers.append((keys, values))
        hidden, prior = self._finish(states[:, self.voice_latents :])
        return hidden, prior, Remembered(tuple(layers))

    def begin(self, remembered: Remembered, places: int, first: Tensor, longest: int) -> list[Rollout]:
        """Continuations that have taken their first step: `first` [starts] is the place of its keys and values.

        `places` of the true history are seen by any; there is room for `longest` steps in all.
        """
        rollouts = []
        for keys, values in remembered.layers:
            room = (*keys.shape[:2], places + longest * len(first), keys.shape[-1])
            rollout = Rollout(keys.new_empty(room), values.new_empty(room), 0)
            rollout.add(keys[:, :, :places], values[:, :, :places])
            rollout.add(keys[:, :, first], values[:, :, first])
            rollouts.append(rollout)
        return rollouts

    def step(
        self,
        rollouts: list[Rollout],
        before: Tensor,
        text: Tensor,
        table: tuple[Tensor, Tensor],
        seen: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """One more step of every continuation of the first clips, as many as are given.

        before [running, starts, latent] is the latent before the place, text [running, starts, width], table the rotary
        places, seen what each may look at -> hidden states [running, starts, width] and the prior's mean.
        """
        states = self.history(before) + text
        for block, rollout in zip(self.blocks, rollouts, strict=True):
            states = cast(Block, block).step(states, table, rollout, seen)
        hidden = self.norm(states)
        return hidden, Gaussian.mean_from_raw(self.out(hidden))
