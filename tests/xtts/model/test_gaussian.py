"""The divergence is the one of the textbook, and a sample is what its noise stands for."""

from __future__ import annotations

import math

import pytest
import torch

from xtts.model.gaussian import Gaussian, kl_divergence


def two(seed: int, latent: int = 6) -> tuple[Gaussian, Gaussian]:
    draw = torch.Generator().manual_seed(seed)
    raw = 1.5 * torch.randn(2, latent * 2, generator=draw, dtype=torch.float64)
    return Gaussian.from_raw(raw[0]), Gaussian.from_raw(raw[1])


def log_density(gaussian: Gaussian, at: torch.Tensor) -> torch.Tensor:
    place = (at - gaussian.mean) / gaussian.log_sd.exp()
    return (-0.5 * place.square() - gaussian.log_sd - 0.5 * math.log(2 * math.pi)).sum(-1)


@pytest.mark.parametrize("seed", range(4))
def test_kl_is_what_samples_of_q_say(seed):
    q, p = two(seed)
    samples = q.at(torch.randn(200_000, 6, generator=torch.Generator().manual_seed(9), dtype=torch.float64))
    ratios = log_density(q, samples) - log_density(p, samples)
    error = ratios.std() / len(ratios) ** 0.5
    assert abs(kl_divergence(q, p) - ratios.mean()) < 4 * error
    assert error < 0.05 * kl_divergence(q, p)


def test_kl_agrees_with_torch_and_is_not_symmetric():
    q, p = two(0)
    normal = [torch.distributions.Normal(one.mean, one.log_sd.exp()) for one in (q, p)]
    expected = torch.distributions.kl_divergence(*normal).sum()
    torch.testing.assert_close(kl_divergence(q, p), expected, atol=1e-12, rtol=1e-12)
    assert abs(kl_divergence(q, p) - kl_divergence(p, q)) > 0.1


def test_kl_of_equal_gaussians_is_zero():
    q, _ = two(1)
    assert abs(kl_divergence(q, q)) < 1e-12


def test_kl_stays_finite_and_differentiable_however_wild_the_network():
    raw = torch.tensor([[1e4, -1e4, 1e6, -1e6], [-1e4, 1e4, -1e6, 1e6]], requires_grad=True)
    divergence = kl_divergence(Gaussian.from_raw(raw[0]), Gaussian.from_raw(raw[1]))
    divergence.backward()
    assert divergence.isfinite()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()


def test_samples_have_the_mean_and_spread_they_should():
    gaussian, _ = two(2)
    samples = gaussian.at(torch.randn(100_000, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64))
    torch.testing.assert_close(samples.mean(0), gaussian.mean, atol=0.05, rtol=0.02)
    torch.testing.assert_close(samples.std(0), gaussian.log_sd.exp(), atol=0.0, rtol=0.02)
