"""Curves of trials that show what a rule is about."""

from __future__ import annotations

from collections.abc import Sequence

from xtts.diagnostics.finding import Finding

PARAMS: dict[str, object] = {
    "mel_loss_weight": 2.5,
    "kl_loss_weight": 1.0,
    "gradient_clip_norm": 0.5,
    "loss_value_clip": None,
    "mel_normalisation": "standard",
}


HEALTHY = (0.70, 0.64, 0.60, 0.575, 0.565, 0.562, 0.561)


def curve(objectives: Sequence[float] = HEALTHY, **every: object) -> list[dict[str, object]]:
    """A healthy training with these objectives; `every` sets a metric in all epochs, a list one value an epoch."""
    epochs: list[dict[str, object]] = []
    for place, objective in enumerate(objectives):
        loss = 2.2 - 0.1 * place + 4 * (1 / (place + 1))
        epoch: dict[str, object] = {
            "epoch": place + 1,
            "objective": objective,
            "mean_frame_error": 0.8,
            "val/next": objective - 0.17,
            "val/mel": 0.30 - 0.01 * place,
            "val/kl": 0.08,
            "loss": loss,
            "loss_first": loss * 1.3,
            "loss_last": loss * 0.9,
            "loss_max": loss * 1.4,
            "train/clip_fraction": 0.4,
            "train/loss_clip_fraction": 0.0,
            "train/grad_norm_p50": 0.45,
            "train/grad_norm_p95": 1.1,
            "text_use": 0.1,
            "text_use_low": 0.08,
            "text_use_high": 0.12,
        }
        for name, value in every.items():
            epoch[name.replace("__", "/")] = value[place] if isinstance(value, list) else value
        epochs.append(epoch)
    return epochs


def params(**changes: object) -> dict[str, object]:
    return {**PARAMS, **changes}


def codes(found: Sequence[Finding]) -> set[str]:
    return {finding.code for finding in found}
