"""Published multi-fidelity test functions in three continuous dimensions, as learning curves `f(config, epoch, seed)`.

Hartmann-3 (Dixon and Szegoe 1978) with bias and noise that vanish at full length, as in mf-prior-bench (MFHartmann3 of
Mallik et al., PriorBand, NeurIPS 2023, after Kandasamy et al., Multi-fidelity Bayesian Optimisation, 2017). With
z = log(epoch) / log(R), the four weights alpha become alpha - bias * (1 - z)^2 and normal noise of standard deviation
noise * (1 - z) is added. `good` to `terrible` are its four published levels; `noisy` and `biased` take one of the two
away. Beyond bias 1 the first epochs are upside down: the best configs look worst.
"""

from __future__ import annotations

import hashlib
import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np

EPOCHS = 27
RANGE_POINTS = 4096

Curve = Callable[[Mapping[str, float], int, int], float]


@dataclass(frozen=True)
class SearchFunction:
    """What a trial of a config would report in each epoch, for a seed; at the last one without noise.

    `family` names the function that its full length is, so that what only sees full lengths is run once for all levels.
    """

    name: str
    family: str
    value: Curve
    bounds: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: {"x0": (0.0, 1.0), "x1": (0.0, 1.0), "x2": (0.0, 1.0)}
    )
    known_optimum: float | None = None
    known_range: float | None = None
    """What a regret is a share of, where the worst value says nothing."""
    epochs: int = EPOCHS
    """The full length."""

    def truth(self, config: Mapping[str, float]) -> float:
        """The value at full length."""
        return self.value(config, self.epochs, 0)

    @cached_property
    def optimum(self) -> float:
        """The least value at full length: as published, or as a search finds it."""
        if self.known_optimum is not None:
            return self.known_optimum
        from scipy.optimize import differential_evolution

        names, bounds = list(self.bounds), list(self.bounds.values())
        found = differential_evolution(
            lambda point: self.truth(dict(zip(names, map(float, point), strict=True))), bounds, rng=1, tol=1e-8
        )
        return float(found.fun)

    @cached_property
    def range(self) -> float:
        """From the optimum to the worst of many Sobol points, where it is not given."""
        if self.known_range is not None:
            return self.known_range
        from scipy.stats.qmc import Sobol, scale

        low, high = zip(*self.bounds.values(), strict=True)
        points = scale(Sobol(len(low), rng=np.random.default_rng(1)).random(RANGE_POINTS), low, high)
        worst = max(self.truth(dict(zip(self.bounds, map(float, point), strict=True))) for point in points)
        return worst - self.optimum


WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
WIDTHS = np.array([[3.0, 10.0, 30.0], [0.1, 10.0, 35.0], [3.0, 10.0, 30.0], [0.1, 10.0, 35.0]])
CENTRES = 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])


def hartmann3(bias: float, noise: float) -> Curve:
    """Multi-fidelity Hartmann-3 over the unit cube; minimum -3.86278 at full length."""

    def value(config: Mapping[str, float], epoch: int, seed: int) -> float:
        short = 1 - math.log(epoch) / math.log(EPOCHS)
        near = _near(config["x0"], config["x1"], config["x2"])
        clean = -float((WEIGHTS - bias * short**2) @ near)
        return clean + noise * short * noise_of(config, epoch, seed) if noise and short > 0 else clean

    return value


SIX_WIDTHS = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
SIX_CENTRES = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
CLIFF, STEEPNESS = 0.6, 12.0


def heavy7(bias: float, noise: float) -> Curve:
    """Multi-fidelity Hartmann-6 with a seventh dimension that acts like a learning rate; minimum -3.32237.

    Below x6 = 0.4 the value rises by a parabola, above 0.6 exponentially up to 120 (unstable training).
    """

    def value(config: Mapping[str, float], epoch: int, seed: int) -> float:
        short = 1 - math.log(epoch) / math.log(EPOCHS)
        point, rate = np.array([config[f"x{i}"] for i in range(6)]), config["x6"]
        near = np.exp(-(SIX_WIDTHS * (point - SIX_CENTRES) ** 2).sum(axis=1))
        clean = -float((WEIGHTS - bias * short**2) @ near) + 4 * (rate - 0.4) ** 2
        clean += math.expm1(STEEPNESS * max(rate - CLIFF, 0.0))
        return clean + noise * short * noise_of(config, epoch, seed) if noise and short > 0 else clean

    return value


def trainer7(bias: float, noise: float) -> Curve:
    """An error in seven dimensions as a neural network's: learning rate, momentum and batch size act through their
    product, which neither trains nor diverges in a band alone; capacity and regularisation interact."""

    def value(config: Mapping[str, float], epoch: int, seed: int) -> float:
        short = 1 - math.log(epoch) / math.log(EPOCHS)
        rate, momentum, batch, decay, layers, units, dropout = (config[f"x{i}"] - 0.5 for i in range(7))
        step = 4 * rate + 2 * momentum - 1.5 * batch - 0.6 + bias * short
        capacity = 0.8 * layers + units
        clean = 0.1 + 0.3 * (1 - math.exp(-0.5 * step**2)) + 0.5 / (1 + math.exp(-8 * (step - 1.2)))
        clean += 0.15 * (capacity - 0.3 - 0.8 * dropout) ** 2 + 0.1 * (decay - 0.2 + 0.7 * dropout) ** 2
        clean += 0.05 * (batch + 0.2) ** 2 + 0.02 * math.cos(7 * layers) * math.cos(5 * momentum)
        clean += 0.4 * short * math.exp(-0.5 * (step + 1) ** 2) + 0.2 * short
        return clean + noise * short * noise_of(config, epoch, seed) if noise and short > 0 else clean

    return value


@lru_cache(maxsize=1 << 16)
def _near(*point: float) -> np.ndarray:
    near: np.ndarray = np.exp(-(WIDTHS * (np.array(point) - CENTRES) ** 2).sum(axis=1))
    return near


def noise_of(config: Mapping[str, float], epoch: int, seed: int) -> float:
    """A standard normal number, the same for the same config, epoch and seed."""
    return float(_noise_by_epoch(repr(sorted(config.items())), seed)[epoch - 1])


@lru_cache(maxsize=1 << 12)
def _noise_by_epoch(config: str, seed: int) -> np.ndarray:
    digest = hashlib.blake2b(f"{config} {seed}".encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "big")).normal(size=EPOCHS)


LEVELS = {
    level: SearchFunction(level, "hartmann3", hartmann3(bias, noise), known_optimum=-3.86278)
    for level, (bias, noise) in {
        "good": (0.5, 0.1),
        "moderate": (1.0, 0.2),
        "bad": (2.0, 0.4),
        "terrible": (4.0, 0.8),
        "noisy": (0.0, 0.8),
        "biased": (4.0, 0.0),
    }.items()
}
LEVELS["heavy7"] = SearchFunction(
    "heavy7",
    "heavy7",
    heavy7(0.5, 0.1),
    {f"x{i}": (0.0, 1.0) for i in range(7)},
    known_optimum=-3.32237,
    known_range=3.32237,
)
LEVELS["trainer7"] = SearchFunction(
    "trainer7", "trainer7", trainer7(0.3, 0.02), {f"x{i}": (0.0, 1.0) for i in range(7)}, 0.0800337, 0.1
)
INFORMATIVE = ("good",)


def given_function(where: str) -> SearchFunction:
    """Somebody's own `f(config, epoch, seed) -> value` by MODULE:NAME: config has x0, x1, x2 in 0 to 1; less is better.

    Attributes of f that are used where they exist: `bounds` (name: (low, high), any number of them) and `optimum`.
    Its value at epoch 27 is taken as the truth, so it should be free of noise there.
    """
    module, _, name = where.partition(":")
    curve: Curve = getattr(importlib.import_module(module), name)
    bounds = getattr(curve, "bounds", None)
    function = SearchFunction(where, where, curve, known_optimum=getattr(curve, "optimum", None))
    return function if bounds is None else replace(function, bounds=dict(bounds))
