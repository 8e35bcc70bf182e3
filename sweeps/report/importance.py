"""How much each coordinate of a config explains of the order of the trials, with its uncertainty and what chance gives.

Ranks of the objective are fitted by a parabola in the ranks of the coordinate, so an optimum inside the range counts
as much as a slope; the measure is the adjusted R^2 of that fit. Words are fitted by a mean for each word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeps.report.coordinates import Axis
from sweeps.search.asha import ranks_of
from sweeps.trials.objective import number
from sweeps.trials.record import TrialRecord

FEWEST_TRIALS = 10
REPEATS = 400
COVERAGE = 0.90
CHANCE = 0.95
REACHED_SHARE = 0.8

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Importance:
    """The share of the order that a coordinate explains (0 to 1), its 90 % interval, and what chance stays under."""

    name: str
    share: float
    low: float
    high: float
    chance: float

    @property
    def clear(self) -> bool:
        """Whether this is more than chance gives in 19 of 20 random orders."""
        return self.share > self.chance


@dataclass(frozen=True, slots=True)
class Comparison:
    """The best costs so far of trials at one epoch, by trial id."""

    epoch: int
    costs: Mapping[str, float]


def comparison(records: Sequence[TrialRecord], role: str = "trial") -> Comparison | None:
    """The trials of a role at the last epoch that 4 of 5 have reached: later ones compare survivors only."""
    curves = {record.trial_id: record.running_cost for record in records if record.role == role}
    curves = {trial_id: curve for trial_id, curve in curves.items() if curve}
    epochs = sorted({epoch for curve in curves.values() for epoch in curve}, reverse=True)
    for epoch in epochs:
        there = {trial_id: curve[epoch] for trial_id, curve in curves.items() if epoch in curve}
        if len(there) >= REACHED_SHARE * len(curves):
            return Comparison(epoch, there)
    return None


def importances(
    configs: Mapping[str, Mapping[str, object]], axes: Sequence[Axis], at: Comparison | None
) -> tuple[Importance, ...]:
    """The importance of each axis on which the configs (by trial id) differ, the greatest first.

    Empty with fewer than ten trials.
    """
    if at is None or len(at.costs) < FEWEST_TRIALS:
        return ()
    compared = [configs[trial_id] for trial_id in at.costs]
    order = ranks_of(np.array(list(at.costs.values())))
    found = []
    for axis in axes:
        basis = _basis([axis.value(config) if axis.bottom else config.get(axis.top) for config in compared])
        if basis is not None:
            found.append(_importance(axis.name, basis, order))
    return tuple(sorted(found, key=lambda one: -one.share))


def _importance(name: str, basis: Matrix, order: NDArray[np.float64]) -> Importance:
    generator = np.random.default_rng(0)  # the same page for the same records
    rows = len(order)
    share = float(_explained(basis[None], order[None])[0])
    drawn = generator.integers(rows, size=(REPEATS, rows))
    repeated = _explained(basis[drawn], order[drawn])
    shuffled = generator.permuted(np.tile(order, (REPEATS, 1)), axis=1)
    by_chance = _explained(np.broadcast_to(basis, (REPEATS, *basis.shape)), shuffled)
    below, above = np.quantile(repeated, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    # A repeated trial fits itself, which lifts every resampled share; mirrored at the estimate that lift comes off.
    low, high = 2 * share - float(above), 2 * share - float(below)
    shown = max(share, 0.0)
    return Importance(
        name, shown, min(max(low, 0.0), shown), max(min(high, 1.0), shown), float(np.quantile(by_chance, CHANCE))
    )


def _explained(basis: Matrix, order: Matrix) -> NDArray[np.float64]:
    """Adjusted R^2 of `order` [repeats, trials] on `basis` [repeats, trials, columns]; 0 without spread."""
    trials, columns = basis.shape[1:]
    centred = basis - basis.mean(axis=1, keepdims=True)
    residue = order - order.mean(axis=1, keepdims=True)
    products = np.einsum("rtc,rtd->rcd", centred, centred)
    with_order = np.einsum("rtc,rt->rc", centred, residue)
    total = np.einsum("rt,rt->r", residue, residue)
    weights = np.einsum("rcd,rd->rc", np.linalg.pinv(products, rcond=1e-9, hermitian=True), with_order)
    explained = np.einsum("rc,rc->r", weights, with_order)
    raw = np.divide(explained, total, out=np.zeros_like(total), where=total > 0)
    adjusted: NDArray[np.float64] = 1 - (1 - raw) * (trials - 1) / max(trials - columns - 1, 1)
    return adjusted


def _basis(values: Sequence[object]) -> Matrix | None:
    """Columns to fit with: rank and its square for numbers, one column a word otherwise; None where all are alike."""
    numbers = [number(value) for value in values]
    if all(value is not None for value in numbers) and len(set(numbers)) > 2:
        ranks = ranks_of(np.array([value if value is not None else math.nan for value in numbers]))
        scaled = ranks / max(len(ranks) - 1, 1) - 0.5
        return np.stack([scaled, scaled**2], axis=1)
    words = sorted({repr(value) for value in values})
    if len(words) < 2 or len(words) > len(values) / 2:
        return None
    return np.array([[float(repr(value) == word) for word in words[1:]] for value in values])
