"""The model-based sampler: which config promises most, judged by a Gaussian process over rungs and ends together.

Low fidelities mislead, so no rung's value is ever taken as if it were final: how much a rung says about the end is
learned from the trials that went there (sweeps/surrogate.py), and a stopped trial tells of its end only as much as
that. A diverged trial stands at the worst end seen, so that its region is avoided; a running one at the end that is
expected of it. The next config is the one with the largest expected improvement (Jones et al. 1998; its logarithm:
Ament et al. 2023). benchmarks/search_efficiency.py compares this with other samplers.

A suggestion depends on the records, the seed and the trial's number alone, so a resumed sweep suggests the same.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sweeps.space.configuration import Configuration
from sweeps.space.limits import Limits
from sweeps.space.parameter import Parameter
from sweeps.space.space import Space
from sweeps.trials.final_values import FullLengthCurves, curve_ends
from sweeps.trials.record import TrialRecord, searched_values

if TYPE_CHECKING:
    from sweeps.search.gaussian_process import GaussianProcess, Observations

FEWEST_FULL_LENGTH = 4
FITTED_AT_MOST = 64  # a Gaussian process costs the cube of its trials
RUNGS_AT_MOST = 3
SPREAD_CANDIDATES = 1500
NEAR_CANDIDATES = 40  # around each good point, at each distance
NEAR_DISTANCES = (0.02, 0.05, 0.1, 0.2)
REFINEMENTS = (0.08, 0.03, 0.01)
KEPT = 10
FEWEST_FOR_A_MIDDLE = 3


def preload() -> None:
    """Import what the search needs: seconds that can pass while Ray starts instead of between two trials."""
    for module in ("scipy.stats", "scipy.special", "sweeps.search.gaussian_process"):
        importlib.import_module(module)


def suggest(
    space: Space,
    limits: Limits,
    records: Sequence[TrialRecord],
    *,
    seed: int,
    number: int,
    curves: FullLengthCurves | None = None,
) -> Configuration | None:
    """A config that no trial has tried, or None where there is too little to learn from, or nothing new comes out.

    `curves`, where they are known already, are those of `records`.
    """
    curves = FullLengthCurves(records) if curves is None else curves
    if len(curves) < FEWEST_FULL_LENGTH:
        return None
    from sweeps.search.gaussian_process import fit

    known = observations(space, records, informative(records, curves))
    fitted = fit(known)
    running = points_of(space, [record for record in records if record.status is None])
    ends = known.points[known.levels == 0]
    believing, there = fitted.believing(running), np.vstack([ends, running])
    tried = {record.identity for record in records}
    listed = space.grid(limits)
    if listed is not None:
        left = [config for config in listed if config.identity not in tried]
        return _most_promising_of(space, left, believing, there)
    chance = np.random.default_rng([seed, number])
    for units in best_candidates(space, limits, believing, there, chance):
        config = space.at(units.tolist(), limits)
        if config.identity not in tried:
            return config
    return None


def _most_promising_of(
    space: Space, configs: Sequence[Configuration], fitted: GaussianProcess, known: np.ndarray
) -> Configuration | None:
    """The config with the largest expected improvement, of a space that can be listed; None where none is left."""
    if not configs:
        return None
    units = np.array(
        [[parameter.unit(config.params[parameter.name]) for parameter in space.searched] for config in configs]
    )
    best = float(fitted.ends(known)[0].min())
    promise = log_expected_improvement(*fitted.ends(encoded(space, units.astype(float))), best)
    return configs[int(np.argmax(promise))]


def observations(space: Space, records: Sequence[TrialRecord], fitted_to: Sequence[TrialRecord] = ()) -> Observations:
    """What the process is fitted to, as costs: ends, and values at the rungs, of `fitted_to` or of all records.

    A rung's value is the mean of the epochs in the last third before it, which noise moves less than the best of them.
    Each level's values are winsorised, because after one that blew up all others would look alike.
    """
    from sweeps.search.gaussian_process import Observations

    chosen = fitted_to or records
    design = [record for record in records if record.origin != "model"]
    rungs, ends = _rung_epochs(chosen), curve_ends(chosen)
    ends |= dict.fromkeys(
        (record.trial_id for record in chosen if record.status == "diverged"), max(ends.values(), default=0.0)
    )
    middles = _middles([_by_level(record, rungs, ends) for record in design])
    points, levels, values = [], [], []
    for record in chosen:
        point = _point(space, record)
        for level, value in _by_level(record, rungs, ends).items() if point is not None else ():
            points.append(point)
            levels.append(level)
            values.append(value)
    known = Observations(np.array(points), np.array(levels, dtype=np.int64), np.array(values))
    return replace(known, values=_winsorised(known, middles))


def _by_level(record: TrialRecord, rungs: Sequence[int], ends: Mapping[str, float]) -> dict[int, float]:
    """A trial's end (level 0) and its values at the rungs; of another full-length trial its last value."""
    found = {}
    if record.trial_id in ends:
        found[0] = ends[record.trial_id]
    elif record.status == "finished" and record.costs:
        found[0] = record.costs[max(record.costs)]
    if record.status not in ("diverged", "failed"):
        found |= _rung_values(record, rungs)
    return found


def _middles(design: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """The median of each level over the first design, which covers the space; most of the model's trials are good ones,
    and under their median everything else would look alike."""
    by_level: dict[int, list[float]] = {}
    for values in design:
        for level, value in values.items():
            by_level.setdefault(level, []).append(value)
    return {level: float(np.median(values)) for level, values in by_level.items() if len(values) >= FEWEST_FOR_A_MIDDLE}


def _winsorised(known: Observations, middles: Mapping[int, float]) -> np.ndarray:
    """The values with those of each level at most twice as far above its middle as the best one is below it."""
    values = known.values.copy()
    for level in range(known.rungs + 1):
        here = known.levels == level
        if here.any():
            middle = middles.get(level, float(np.median(values[here])))
            values[here] = np.minimum(values[here], middle + 2 * max(middle - values[here].min(), 0.0))
    return values


def _rung_epochs(records: Sequence[TrialRecord]) -> list[int]:
    """The epochs at which trials were compared, those that most trials came to first."""
    reached: dict[int, int] = {}
    for record in records:
        for epoch in {event.get("epoch") for event in record.rungs}:
            if isinstance(epoch, int):
                reached[epoch] = reached.get(epoch, 0) + 1
    return sorted(reached, key=lambda epoch: (-reached[epoch], epoch))[:RUNGS_AT_MOST]


def _rung_values(record: TrialRecord, rungs: Sequence[int]) -> dict[int, float]:
    curve = record.costs
    found = {}
    for level, rung in enumerate(rungs, 1):
        window = [curve[epoch] for epoch in range(rung - max(rung // 3, 1) + 1, rung + 1) if epoch in curve]
        if window and record.epochs >= rung:
            found[level] = math.fsum(window) / len(window)
    return found


def best_ends(curves: FullLengthCurves, count: int) -> list[str]:
    """The ids of the trials with the best ends, the best first."""
    ends = zip(curves.ids, curves.ends.tolist(), strict=True)
    return [trial_id for trial_id, _ in sorted(ends, key=lambda entry: (entry[1], entry[0]))[:count]]


def informative(records: Sequence[TrialRecord], curves: FullLengthCurves) -> list[TrialRecord]:
    """The trials that the process is fitted to: all of them, or of very many the best ends, those that ended last and
    the best of those that are running."""
    if len(records) <= FITTED_AT_MOST:
        return list(records)
    each = FITTED_AT_MOST // 2
    ended = [record for record in records if record.status is not None]
    running = [record for record in records if record.status is None and record.rungs and record.objective is not None]
    running.sort(key=lambda record: record.rank)
    kept = {
        *best_ends(curves, each),
        *(record.trial_id for record in ended[-each:]),
        *(record.trial_id for record in running[: each // 2]),
    }
    return [record for record in records if record.trial_id in kept]


def best_candidates(
    space: Space, limits: Limits, fitted: GaussianProcess, known: np.ndarray, chance: np.random.Generator
) -> Iterator[np.ndarray]:
    """Points of the unit cube over the searched parameters, the most promising first."""
    candidates, best = first_candidates(space, fitted, known, chance)
    kept = most_promising(space, limits, fitted, candidates, best)
    for distance in REFINEMENTS:
        near = [_moved(kept, distance, chance) for _ in range(NEAR_CANDIDATES)]
        kept = most_promising(space, limits, fitted, np.vstack([kept, *near]), best)
    yield from kept


def first_candidates(
    space: Space, fitted: GaussianProcess, known: np.ndarray, chance: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Points all over the unit cube and around the best of the `known`, and the best end expected of these."""
    expected = fitted.ends(known)[0]
    good = units_of(space, known[np.argsort(expected, kind="stable")[:3]])
    near = [_moved(good, distance, chance) for distance in NEAR_DISTANCES for _ in range(NEAR_CANDIDATES)]
    return np.vstack([chance.random((SPREAD_CANDIDATES, len(space.searched))), *near]), float(expected.min())


def most_promising(
    space: Space, limits: Limits, fitted: GaussianProcess, candidates: np.ndarray, best: float, count: int = KEPT
) -> np.ndarray:
    """The feasible candidates with the largest expected improvement on `best`, the largest first."""
    if space.ratios is not None:
        candidates = candidates[[space.feasible(units.tolist(), limits) for units in candidates]]
    promise = log_expected_improvement(*fitted.ends(encoded(space, candidates)), best)
    return candidates[np.argsort(-promise, kind="stable")[:count]]


def log_expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """log E max(best - end, 0) for normal ends [points], without underflow far from the best."""
    from scipy.special import erfcx, ndtr

    gain = (best - mean) / deviation
    density = np.exp(-0.5 * gain**2) / math.sqrt(2 * math.pi)
    near = np.log(np.maximum(density + gain * ndtr(gain), 1e-300))
    low = np.minimum(gain, -1.0)
    rest = 1 + low * math.sqrt(math.pi / 2) * erfcx(-low / math.sqrt(2))
    far = -0.5 * low**2 - 0.5 * math.log(2 * math.pi) + np.log(np.maximum(rest, 1e-300))
    logarithm: np.ndarray = np.where(gain > -1, near, far) + np.log(deviation)
    return logarithm


def _moved(points: np.ndarray, distance: float, chance: np.random.Generator) -> np.ndarray:
    return np.clip(points + distance * chance.standard_normal(points.shape), 0.0, 1.0)


def points_of(space: Space, records: Sequence[TrialRecord]) -> np.ndarray:
    """The configs as the process sees them, [records inside this space, columns]."""
    points = [point for record in records if (point := _point(space, record)) is not None]
    width = encoded(space, np.zeros((1, len(space.searched)))).shape[1]
    return np.array(points).reshape(-1, width)


def _point(space: Space, record: TrialRecord) -> np.ndarray | None:
    """A trial's config as the process sees it; None where it lies outside this space."""
    values = searched_values(space, record)
    units = [parameter.unit(values.get(parameter.name)) for parameter in space.searched]
    given = [unit for unit in units if unit is not None]
    return encoded(space, np.array([given]))[0] if len(given) == len(units) else None


def encoded(space: Space, units: np.ndarray) -> np.ndarray:
    """Unit-cube points [n, searched] with a column for each value of a categorical parameter, all equally far apart."""
    columns = []
    for parameter, column in zip(space.searched, units.T, strict=True):
        if parameter.distribution != "categorical":
            columns.append(column[:, None])
            continue
        index = np.minimum((column * len(parameter.values)).astype(int), len(parameter.values) - 1)
        columns.append(np.eye(len(parameter.values))[index] / math.sqrt(2))
    return np.hstack(columns)


def units_of(space: Space, points: np.ndarray) -> np.ndarray:
    """The inverse of `_encoded`; a category comes back as the middle of its share."""
    columns, at = [], 0
    for parameter in space.searched:
        width = _width(parameter)
        part = points[:, at : at + width]
        columns.append(part[:, 0] if parameter.distribution != "categorical" else (part.argmax(1) + 0.5) / width)
        at += width
    return np.stack(columns, axis=1)


def _width(parameter: Parameter) -> int:
    return len(parameter.values) if parameter.distribution == "categorical" else 1
