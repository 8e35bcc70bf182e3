"""Training runs as curves, healthy and broken, for the rules over logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from xtts.diagnostics.logged_curve import Curve, CurveBuilder
from xtts.diagnostics.logged_run import LoggedRun
from xtts.prepare.text_fit import TextFit

STEPS, EPOCHS = 400, 20
AT = np.arange(STEPS, dtype=float)
RIGHT_TEXTS = TextFit("speech", 24, 0.8, 0.9, 0.0)
EVALUATED = np.arange(1, EPOCHS + 1) * STEPS / EPOCHS


def curve(steps: np.ndarray, values: np.ndarray) -> Curve:
    builder = CurveBuilder()
    builder.add(np.asarray(steps, float), np.asarray(values, float))
    return builder.curve()


def noisy(values: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    return values * (1 + share * np.random.default_rng(seed).standard_normal(len(values)))


def healthy(scale: float = 1.0, seed: int = 0, **changed: object) -> LoggedRun:
    """A run whose mel error falls from 0.8 to about 0.45, on standardised mel, weights 2.5 and 1."""
    mel = 0.44 + 0.36 * np.exp(-AT / 120)
    kl = 0.4 + 0.3 * np.exp(-AT / 60)
    val = 0.47 + 0.34 * np.exp(-EVALUATED / 120)
    curves = {
        "train/mel": curve(AT, noisy(scale * mel, 0.05, seed)),
        "train/kl": curve(AT, noisy(kl, 0.05, seed + 1)),
        "train/loss": curve(AT, noisy(2.5 * scale * mel + kl, 0.03, seed + 2)),
        "val/mel": curve(EVALUATED, noisy(scale * val, 0.002, seed + 3)),
        "val/kl": curve(EVALUATED, noisy(0.45 + 0.2 * np.exp(-EVALUATED / 60), 0.01, seed + 4)),
        "grad_norm": curve(AT, noisy(np.full(STEPS, 0.5), 0.3, seed + 5)),
        "learning_rate": curve(AT, np.full(STEPS, 1e-3)),
        "epoch": curve(AT, AT // (STEPS / EPOCHS)),
    }
    run = LoggedRun(curves, {"mel": 2.5, "kl": 1.0}, weighted=False, clip=0.7, texts=RIGHT_TEXTS)
    return replace(run, **changed)  # type: ignore[arg-type]


def with_curves(run: LoggedRun, **curves: Curve | None) -> LoggedRun:
    """The run with curves replaced (`train_mel` for train/mel) or, with None, left out."""
    names = {key.replace("train_", "train/").replace("val_", "val/"): found for key, found in curves.items()}
    kept: Mapping[str, Curve | None] = {**run.curves, **names}
    return replace(run, curves={name: found for name, found in kept.items() if found is not None})


def changed(run: LoggedRun, name: str, change: Callable[[np.ndarray], np.ndarray]) -> LoggedRun:
    old = run.curves[name]
    return replace(run, curves={**run.curves, name: curve(old.steps, change(old.values.copy()))})
