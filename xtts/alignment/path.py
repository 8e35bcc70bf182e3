"""Sums and maxima over all monotonic paths of a text through its clip: exact dynamic programs.

A path starts at the first token, ends at the last, and at each step stays or moves to the next token; it may pass over
one token at a cost, so that a text with more tokens than steps still has a path (down to half as many steps as tokens).
"""

from __future__ import annotations

import math

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_SKIP_COST = 4.0  # nats: a token is passed over only where the sound leaves no room for it


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _log_add(a: float, b: float) -> float:  # pragma: no cover - compiled
    top, low = max(a, b), min(a, b)
    # Beyond 40 nats the smaller one is below the rounding of the larger; this also covers -inf.
    return top if low < top - 40.0 or low == -np.inf else top + math.log1p(math.exp(low - top))


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _forward_backward(
    scores: NDArray[np.float64], skip: float
) -> tuple[float, NDArray[np.float64]]:  # pragma: no cover
    steps, tokens = scores.shape
    ahead = np.full((steps, tokens), -np.inf)
    behind = np.full((steps, tokens), -np.inf)
    ahead[0, 0] = scores[0, 0]
    if tokens > 1:
        ahead[0, 1] = scores[0, 1] - skip
    for step in range(1, steps):
        for token in range(tokens):
            value = ahead[step - 1, token]
            if token >= 1:
                value = _log_add(value, ahead[step - 1, token - 1])
            if token >= 2:
                value = _log_add(value, ahead[step - 1, token - 2] - skip)
            ahead[step, token] = value + scores[step, token]
    behind[steps - 1, tokens - 1] = 0.0
    if tokens > 1:
        behind[steps - 1, tokens - 2] = -skip
    for step in range(steps - 2, -1, -1):
        for token in range(tokens):
            value = behind[step + 1, token] + scores[step + 1, token]
            if token + 1 < tokens:
                value = _log_add(value, behind[step + 1, token + 1] + scores[step + 1, token + 1])
            if token + 2 < tokens:
                value = _log_add(value, behind[step + 1, token + 2] + scores[step + 1, token + 2] - skip)
            behind[step, token] = value
    total = ahead[steps - 1, tokens - 1]
    if tokens > 1:
        total = _log_add(total, ahead[steps - 1, tokens - 2] - skip)
    posterior = np.zeros((steps, tokens))
    if total > -np.inf:
        for step in range(steps):
            for token in range(tokens):
                posterior[step, token] = math.exp(ahead[step, token] + behind[step, token] - total)
    return total, posterior


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _viterbi(scores: NDArray[np.float64], skip: float) -> NDArray[np.int32]:  # pragma: no cover - compiled
    steps, tokens = scores.shape
    best = np.full((steps, tokens), -np.inf)
    moved = np.zeros((steps, tokens), dtype=np.int8)
    best[0, 0] = scores[0, 0]
    if tokens > 1:
        best[0, 1] = scores[0, 1] - skip
    for step in range(1, steps):
        for token in range(tokens):
            value = best[step - 1, token]
            move = 0
            if token >= 1 and best[step - 1, token - 1] > value:
                value = best[step - 1, token - 1]
                move = 1
            if token >= 2 and best[step - 1, token - 2] - skip > value:
                value = best[step - 1, token - 2] - skip
                move = 2
            best[step, token] = value + scores[step, token]
            moved[step, token] = move
    token = tokens - 1
    if tokens > 1 and best[steps - 1, tokens - 2] - skip > best[steps - 1, token]:
        token = tokens - 2
    path = np.empty(steps, dtype=np.int32)
    for step in range(steps - 1, -1, -1):
        path[step] = token
        token -= moved[step, token]
    return path


class _PathSum(torch.autograd.Function):
    """Log-sum over paths; its gradient is the posterior probability of each token at each step."""

    @staticmethod
    def forward(ctx, scores: Tensor, step_count: Tensor, token_count: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        values = scores.detach().double().cpu().numpy()
        steps, tokens = step_count.tolist(), token_count.tolist()
        posterior = np.zeros_like(values)
        totals = np.zeros(len(values))
        for clip, (step, token) in enumerate(zip(steps, tokens, strict=True)):
            inside = np.ascontiguousarray(values[clip, :step, :token])
            total, posterior[clip, :step, :token] = _forward_backward(inside, _SKIP_COST)
            # No path at all: the clip is left out of the sum, and its gradient is zero.
            totals[clip] = total if np.isfinite(total) else 0.0
        ctx.posterior = torch.from_numpy(posterior).to(scores)
        return torch.from_numpy(totals).to(scores)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[no-untyped-def]
        return ctx.posterior * gradient[:, None, None], None, None


def path_sum(scores: Tensor, step_count: Tensor, token_count: Tensor) -> Tensor:
    """Log-sum over all paths [batch], 0 where there is none: log-scores [batch, steps, tokens], counts [batch]."""
    result: Tensor = _PathSum.apply(scores, step_count, token_count)  # type: ignore[no-untyped-call]
    return result


def best_path(scores: NDArray[np.float32]) -> tuple[NDArray[np.int32], float]:
    """The best path through log-scores [steps, tokens]: the token at each step [steps], never falling; its confidence.

    The confidence is the mean posterior probability of the tokens on the path, from 0 to 1. Where even passing over
    tokens leaves no path (more than two tokens a step) the tokens are spread evenly and the confidence is 0.
    """
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"scores must be [steps, tokens] with at least one of each, got shape {scores.shape}")
    values = np.ascontiguousarray(scores, dtype=np.float64)
    total, posterior = _forward_backward(values, _SKIP_COST)
    steps, tokens = values.shape
    if not np.isfinite(total):
        return (np.arange(steps) * tokens // steps).astype(np.int32), 0.0
    path = np.asarray(_viterbi(values, _SKIP_COST))
    return path, float(posterior[np.arange(steps), path].mean())
