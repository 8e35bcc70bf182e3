"""Diagonal Gaussians over latents."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_LOG_SD_LIMIT = 6.0


class Gaussian(NamedTuple):
    """Mean and log standard deviation, each [..., latent]."""

    mean: Tensor
    log_sd: Tensor

    @classmethod
    def from_raw(cls, raw: Tensor) -> Gaussian:
        """[..., 2 * latent] of a network's output; the log standard deviation is bounded smoothly to +-6.

        In bfloat16 a difference of two log standard deviations would lose most of its digits: float32 at least.
        """
        mean, log_sd = _precise(raw).chunk(2, dim=-1)
        return cls(mean, _LOG_SD_LIMIT * torch.tanh(log_sd / _LOG_SD_LIMIT))

    @staticmethod
    def mean_from_raw(raw: Tensor) -> Tensor:
        """The mean that from_raw gives, alone."""
        return _precise(raw).chunk(2, dim=-1)[0]

    def at(self, noise: Tensor) -> Tensor:
        """The sample for standard normal noise [..., latent]."""
        return self.mean + self.log_sd.exp() * noise


def _precise(raw: Tensor) -> Tensor:
    return raw.float() if raw.dtype == torch.bfloat16 else raw


def kl_divergence(q: Gaussian, p: Gaussian) -> Tensor:
    """KL(q to p) in nats, summed over latent dimensions: [..., latent] -> [...]."""
    variance_ratio = (2.0 * (q.log_sd - p.log_sd)).exp()
    distance = ((q.mean - p.mean) * (-p.log_sd).exp()).square()
    return (0.5 * (variance_ratio + distance - 1.0) - (q.log_sd - p.log_sd)).sum(dim=-1)
