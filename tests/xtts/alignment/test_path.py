"""Sums and maxima over all paths equal those over paths counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.xtts.alignment.all_paths import all_paths, log_sum, posterior_of_all, scores_of_all
from xtts.alignment.path import best_path, path_sum

SIZES = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (5, 1), (3, 3), (5, 3), (4, 5), (3, 6), (3, 7), (6, 4), (2, 5)]
"""Steps and tokens; among them the most tokens that so few steps have a path for (two a step and one)."""


def made_scores(steps: int, tokens: int, seed: int = 0) -> np.ndarray:
    return 3.0 * np.random.default_rng([steps, tokens, seed]).standard_normal((steps, tokens))


def summed(scores: np.ndarray) -> torch.Tensor:
    steps, tokens = scores.shape
    return path_sum(torch.from_numpy(scores)[None], torch.tensor([steps]), torch.tensor([tokens]))[0]


def test_the_paths_counted_are_those_meant():
    assert [path for path, _ in all_paths(2, 2)] == [(0, 0), (0, 1), (1, 1)]
    assert dict(all_paths(2, 2)) == {(0, 0): 1, (0, 1): 0, (1, 1): 1}
    assert all_paths(1, 3) == [((1,), 2)]
    assert not all_paths(1, 4)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("steps", "tokens"), SIZES)
def test_the_sum_is_over_all_paths(steps, tokens, seed):
    scores = made_scores(steps, tokens, seed)
    expected = log_sum([score for _, score in scores_of_all(scores)])
    assert summed(scores).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("steps", "tokens"), SIZES)
def test_the_best_path_is_the_best_of_all(steps, tokens, seed):
    scores = made_scores(steps, tokens, seed).astype(np.float32)
    path, confidence = best_path(scores)
    paths = scores_of_all(scores.astype(np.float64))
    assert tuple(path) == max(paths, key=lambda one: one[1])[0]
    posterior = posterior_of_all(scores.astype(np.float64))
    assert confidence == pytest.approx(posterior[np.arange(steps), path].mean(), abs=1e-9)


@pytest.mark.parametrize(("steps", "tokens"), SIZES)
def test_the_gradient_is_the_posterior_and_the_slope_of_the_sum(steps, tokens):
    scores = made_scores(steps, tokens)
    given = torch.from_numpy(scores)[None].requires_grad_()
    path_sum(given, torch.tensor([steps]), torch.tensor([tokens])).sum().backward()
    assert given.grad is not None
    np.testing.assert_allclose(given.grad[0].numpy(), posterior_of_all(scores), atol=1e-9)
    for step in range(steps):
        for token in range(tokens):
            higher, lower = scores.copy(), scores.copy()
            higher[step, token] += 1e-5
            lower[step, token] -= 1e-5
            slope = (summed(higher) - summed(lower)).item() / 2e-5
            assert given.grad[0, step, token].item() == pytest.approx(slope, abs=1e-6)


def test_clips_of_a_batch_do_not_see_each_other_or_their_padding():
    sizes = [(5, 3), (3, 6), (6, 4)]
    batch = torch.full((3, 6, 6), 50.0, dtype=torch.float64)
    for row, size in enumerate(sizes):
        batch[row, : size[0], : size[1]] = torch.from_numpy(made_scores(*size))
    batch.requires_grad_()
    counts = [torch.tensor(count) for count in zip(*sizes, strict=True)]
    totals = path_sum(batch, *counts)
    for row, size in enumerate(sizes):
        assert totals[row].item() == pytest.approx(summed(made_scores(*size)).item(), abs=1e-12)
    (totals * torch.tensor([1.0, 2.0, -3.0])).sum().backward()
    assert batch.grad is not None
    for row, (size, factor) in enumerate(zip(sizes, (1.0, 2.0, -3.0), strict=True)):
        inside = torch.zeros(6, 6, dtype=torch.bool)
        inside[: size[0], : size[1]] = True
        assert not batch.grad[row][~inside].any()
        np.testing.assert_allclose(batch.grad[row][inside].sum(), factor * size[0], atol=1e-9)


def test_a_longer_text_than_the_clip_has_a_path_that_passes_over_tokens():
    path, confidence = best_path(np.zeros((5, 8), np.float32))
    assert (np.diff(path) >= 1).all()
    assert path[0] <= 1
    assert path[-1] >= 6
    assert confidence > 0.0


@pytest.mark.parametrize(("steps", "tokens"), [(1, 4), (3, 8), (10, 60)])
def test_more_than_two_tokens_a_step_are_spread_evenly_without_confidence(steps, tokens):
    path, confidence = best_path(made_scores(steps, tokens).astype(np.float32))
    assert confidence == 0.0
    assert path.tolist() == [step * tokens // steps for step in range(steps)]
    scores = torch.from_numpy(made_scores(steps, tokens))[None].requires_grad_()
    total = path_sum(scores, torch.tensor([steps]), torch.tensor([tokens]))
    total.sum().backward()
    assert total.item() == 0.0
    assert scores.grad is not None
    assert not scores.grad.any()


def test_a_clear_clip_is_found_with_full_confidence():
    scores = np.full((12, 4), -20.0, np.float32)
    truth = np.repeat(np.arange(4), 3)
    scores[np.arange(12), truth] = 0.0
    path, confidence = best_path(scores)
    assert path.tolist() == truth.tolist()
    assert confidence > 0.999


def test_far_away_scores_overflow_nothing():
    scores = made_scores(40, 12)
    assert summed(scores - 1e6).item() == pytest.approx(summed(scores).item() - 40e6, rel=1e-9)
    assert best_path((scores * 1e4).astype(np.float32))[1] == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (4,)])
def test_scores_that_are_none_are_refused(shape):
    with pytest.raises(ValueError, match="steps, tokens"):
        best_path(np.zeros(shape, np.float32))
