"""The noise between seeds of a training run: from a stated model, or measured on recorded runs."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sweeps.confirm.verdict import ASSUMED_SD_PERCENT  # noqa: E402
from sweeps.run.run import read_run  # noqa: E402

END_EVALUATIONS = 3
NEEDED_SEEDS, NEEDED_CONFIGS = 12, 3

Array = np.ndarray


@dataclass(frozen=True)
class Noise:
    """Log objectives by epoch: `shapes` [configs, epochs] are 0 at the end; `shared` and `own` are pools [runs,
    epochs].

    A run is shape + true log effect + what its seed does to every config (`shared`) + what it does to this one
    (`own`). Only `own` survives pairing: `paired_sd` is the sd of the difference of two configs' ends on one seed.
    """

    shapes: Array
    shared: Array
    own: Array
    source: str
    mean_frame_log: float | None

    @property
    def paired_sd(self) -> float:
        """sd of the paired difference of ends, in natural logs."""
        ends = self.own[:, -END_EVALUATIONS:].mean(axis=1)
        return float(np.sqrt(2 * np.mean(ends**2)))

    def scaled_to(self, paired_sd: float) -> Noise:
        """The same noise with `own` scaled to a given paired sd."""
        own = self.own * (paired_sd / self.paired_sd)
        return Noise(self.shapes, self.shared, own, self.source, self.mean_frame_log)


def modelled_noise(rng: np.random.Generator, tail: str, epochs: int = 9, pool: int = 4_000) -> Noise:
    """A stated model: objective .56 + .17 (1/epoch - 1/last), each run with an offset of its own and as much noise at
    each epoch."""
    curve = np.log(0.56 + 0.17 * (1 / np.arange(1, epochs + 1) - 1 / epochs))
    end = curve[-END_EVALUATIONS:].mean()

    def draw(size: tuple[int, int]) -> Array:
        return rng.standard_normal(size) if tail == "normal" else rng.standard_t(4, size)

    own = draw((pool, 1)) + draw((pool, epochs))
    shared = 0.015 * draw((pool, 1)) + np.zeros((pool, epochs))
    noise = Noise((curve - end)[None], shared, own, f"model, {tail} tails", math.log(0.80) - end)
    return noise.scaled_to(ASSUMED_SD_PERCENT / 100)


Stored = dict[str, dict[str, list[float]]]


def curves_of_runs(folders: list[Path]) -> tuple[Stored, float | None]:
    """The curves of unstopped runs by config and seed, and the mean-frame error that they report."""
    stored: Stored = {}
    errors: list[float] = []
    for folder in folders:
        for record in read_run(folder).records:
            if record.status == "finished":
                curve = [float(str(report["objective"])) for report in record.reports]
                stored.setdefault(record.label or record.trial_id, {})[str(record.seed)] = curve
                errors += [float(str(report["mean_frame_error"])) for report in record.reports[-1:]]
    return stored, float(np.mean(errors)) if errors else None


def measured_noise(stored: Stored, mean_frame_error: float | None, path: str) -> Noise:
    """Shapes and noise of real seeds; seeds that several configs have in common tell the shared part from the own."""
    epochs = min(len(curve) for seeds in stored.values() for curve in seeds.values())
    logs = {
        name: {seed: np.log(np.asarray(curve[:epochs], float)) for seed, curve in seeds.items()}
        for name, seeds in stored.items()
    }
    counts = {name: len(seeds) for name, seeds in logs.items()}
    if (
        min(counts.values()) < 2
        or epochs < END_EVALUATIONS
        or not all(np.isfinite(curve).all() for seeds in logs.values() for curve in seeds.values())
    ):
        raise SystemExit(
            f"{path}: needs two seeds or more a config, {END_EVALUATIONS} epochs or more, finite objectives"
        )
    means = {name: np.mean(list(seeds.values()), axis=0) for name, seeds in logs.items()}
    ends = {name: float(mean[-END_EVALUATIONS:].mean()) for name, mean in means.items()}
    residuals = {
        name: {
            seed: (curve - means[name]) * math.sqrt(counts[name] / (counts[name] - 1)) for seed, curve in seeds.items()
        }
        for name, seeds in logs.items()
    }
    common = sorted(set.intersection(*(set(seeds) for seeds in logs.values())))
    configs = len(logs)
    if configs > 1 and len(common) >= 2:
        table = np.stack([[residuals[name][seed] for seed in common] for name in logs])
        shared = table.mean(axis=0)
        own = ((table - shared) * math.sqrt(configs / (configs - 1))).reshape(-1, epochs)
        paired = f"{len(common)} seeds in common"
    else:
        own = np.stack([curve for seeds in residuals.values() for curve in seeds.values()])
        shared = np.zeros_like(own)
        paired = "no seeds in common, so all noise counts as unpaired"
    total = sum(counts.values())
    source = f"{total} real seeds of {configs} configs ({paired})"
    if total < NEEDED_SEEDS or configs < NEEDED_CONFIGS:
        source += f"; TOO FEW for a proof: {NEEDED_SEEDS} seeds of {NEEDED_CONFIGS} configs are needed"
    frame = None if mean_frame_error is None else math.log(mean_frame_error) - float(np.mean(list(ends.values())))
    return Noise(np.stack([means[name] - ends[name] for name in logs]), shared, own, source, frame)


def drawn(pool: Array, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Curves [*shape, epochs] from a pool, smoothed: cos a of one, sin a of another, which keeps the covariance."""
    first = pool[rng.integers(len(pool), size=shape)]
    second = pool[rng.integers(len(pool), size=shape)]
    angle = rng.uniform(0, math.pi / 8, size=(*shape, 1))
    drawn_curves: Array = np.cos(angle) * first + np.sin(angle) * second
    return drawn_curves
