"""Metrics of an epoch from its optimiser steps and its evaluation, by the names of DESIGN.md section 5."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from xtts.evaluation.evaluation import Evaluation
from xtts.training.settings import Settings

STEP_COLUMNS = ("loss", "mel", "kl", "gradient")
"""What is recorded of each optimiser step: weighted total, raw terms, gradient norm before clipping"""


def step_metrics(
    steps: NDArray[np.float64], settings: Settings, mel_weight: float, kl_weight: float
) -> dict[str, object]:
    """Metrics of an epoch's optimiser steps [steps, columns]; the weights are the epoch's means."""
    total, mel, kl, norm = steps.T
    clip, value_clip = settings.gradient_clip_norm, settings.loss_value_clip
    with np.errstate(invalid="ignore"):  # a trial that diverged has infinite norms
        median, high = np.quantile(norm, [0.5, 0.95])
    return {
        "loss": float(total.mean()),
        "loss_first": float(total[0]),
        "loss_last": float(total[-1]),
        "loss_max": float(total.max()),
        "train/mel": float(mel.mean()),
        "train/kl": float(kl.mean()),
        "train/mel_weight": mel_weight,
        "train/kl_weight": kl_weight,
        "train/grad_norm_p50": float(median),
        "train/grad_norm_p95": float(high),
        "train/clip_fraction": float((norm > clip).mean()) if clip else 0.0,
        "train/loss_clip_fraction": float((mel > value_clip).mean()) if value_clip else 0.0,
    }


def validation_metrics(evaluation: Evaluation, mean_frame_error: float) -> dict[str, object]:
    """Metrics of one evaluation; `mean_frame_error` is the error of always predicting the mean frame."""
    return {
        "objective": evaluation.objective,
        "val/next": evaluation.next,
        "val/free": evaluation.free,
        "val/nll": math.log(2.0 * evaluation.mel) + 1.0 + evaluation.kl,
        "val/mel": evaluation.mel,
        "val/kl": evaluation.kl,
        "skill": 1.0 - evaluation.objective / mean_frame_error,
        "mean_frame_error": mean_frame_error,
        "text_use": evaluation.text_use,
        "text_use_low": evaluation.text_use_low,
        "text_use_high": evaluation.text_use_high,
    }


def first_bad_step(steps: NDArray[np.float64], updates: int) -> dict[str, object] | None:
    """The epoch's first step with a non-finite value, and the term; `updates` is the epoch's last step."""
    bad = ~np.isfinite(steps)
    if not bad.any():
        return None
    row = int(np.flatnonzero(bad.any(axis=1))[0])
    term = next(name for name in ("mel", "kl", "loss", "gradient") if bad[row, STEP_COLUMNS.index(name)])
    value = steps[row, STEP_COLUMNS.index(term)]
    step = updates - len(steps) + row + 1
    return {"step": step, "term": term, "value": "nan" if math.isnan(value) else "inf"}
