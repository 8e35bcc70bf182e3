"""Every monotonic path through a few steps and tokens, one by one: what the dynamic programs must agree with."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

SKIP = 4.0
"""Nats that passing over a token costs."""


def all_paths(steps: int, tokens: int) -> list[tuple[tuple[int, ...], int]]:
    """The token at each step, and how many tokens are passed over, of every path that passes over no two in a row."""
    found = []
    for path in itertools.product(range(tokens), repeat=steps):
        # Before the first token and after the last one stands nothing: there a path begins and ends.
        moves = np.diff([-1, *path, tokens])
        inner = moves[1:-1]
        if moves[0] in (1, 2) and moves[-1] in (1, 2) and all(0 <= move <= 2 for move in inner):
            found.append((path, int((moves == 2).sum())))
    return found


def scores_of_all(scores: npt.NDArray[np.float64]) -> list[tuple[tuple[int, ...], float]]:
    """Every path with its log-score."""
    steps, tokens = scores.shape
    return [
        (path, float(scores[np.arange(steps), path].sum()) - SKIP * passed) for path, passed in all_paths(steps, tokens)
    ]


def log_sum(values: list[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def posterior_of_all(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probability of each token at each step [steps, tokens]."""
    paths = scores_of_all(scores)
    total = log_sum([score for _, score in paths])
    posterior = np.zeros_like(scores)
    for path, score in paths:
        posterior[np.arange(len(path)), path] += math.exp(score - total)
    return posterior
