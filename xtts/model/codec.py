"""Mel patches to latents and back: what the discrete VAE is in XTTS."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xtts.model.gaussian import Gaussian
from xtts.model.model_config import ModelConfig


class Posterior(nn.Module):
    """q(z_t given mel patch t): patches [batch, patches, values] -> a Gaussian over [batch, patches, latent]."""

    def __init__(self, values: int, shape: ModelConfig) -> None:
        super().__init__()
        self.first = nn.Linear(values, shape.codec_width)
        self.second = nn.Linear(shape.codec_width, shape.codec_width)
        self.norm = nn.LayerNorm(shape.codec_width)
        self.out = nn.Linear(shape.codec_width, 2 * shape.latent)

    def forward(self, patches: Tensor) -> Gaussian:
        """Each patch by itself: nothing of its neighbours enters."""
        states = F.gelu(self.first(patches))
        states = states + F.gelu(self.second(states))
        return Gaussian.from_raw(self.out(self.norm(states)))


class Decoder(nn.Module):
    """p(mel patch given z_t and the prior's hidden state): the location of a Laplace, [batch, patches, values]."""

    def __init__(self, values: int, shape: ModelConfig) -> None:
        super().__init__()
        self.latent = nn.Linear(shape.latent, shape.codec_width)
        self.hidden = nn.Linear(shape.width, shape.codec_width)
        self.second = nn.Linear(shape.codec_width, shape.codec_width)
        self.norm = nn.LayerNorm(shape.codec_width)
        self.out = nn.Linear(shape.codec_width, values)

    def forward(self, latent: Tensor, hidden: Tensor) -> Tensor:
        """latent [..., latent], hidden [..., width] -> [..., values]."""
        states = F.gelu(self.latent(latent) + self.hidden(hidden))
        states = states + F.gelu(self.second(states))
        out: Tensor = self.out(self.norm(states))
        return out


def to_patches(mel: Tensor, frames_per_patch: int) -> Tensor:
    """[..., patches * frames_per_patch, mels] -> [..., patches, frames_per_patch * mels]."""
    return torch.flatten(mel.unflatten(-2, (-1, frames_per_patch)), -2)
