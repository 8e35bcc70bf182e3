"""The model-based sampler: which config promises most, judged by a Gaussian process over rungs and ends together.

Low fidelities mislead, so no rung's value is ever taken as if it were final: how much a rung says about the end is
learned from the trials that ran on (sweeps/search/gaussian_process.py), and a stopped trial informs of its end only as
much as that. A diverged trial stands at the worst end seen, so that its region is avoided; a running one at the end
that is expected of it. The next config is the one with the largest expected improvement (Jones et al. 1998; its
logarithm: Ament et al. 2023). benchmarks/search_efficiency.py compares this with other samplers.

A suggestion depends on the records, the seed and the trial's number alone, so a resumed sweep suggests the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sweeps.search.observations import informative, observations, with_memory
from sweeps.search.options import NO_OPTIONS, SearchOptions
from sweeps.search.points import encoded, point_of, points_of, units_of, within
from sweeps.space.configuration import Configuration
from sweeps.space.limits import Limits
from sweeps.space.space import Space
from sweeps.trials.final_values import FullLengthCurves
from sweeps.trials.record import TrialRecord

if TYPE_CHECKING:
    from sweeps.search.gaussian_process import GaussianProcess
    from sweeps.search.memory import Memory
    from sweeps.search.prior import Prior

FEWEST_FULL_LENGTH = 4
SPREAD_CANDIDATES = 1500
NEAR_CANDIDATES = 40  # around each good point, at each distance
NEAR_DISTANCES = (0.02, 0.05, 0.1, 0.2)
REFINEMENTS = (0.08, 0.03, 0.01)
MOVED_AT_ONCE = 3  # coordinates on average: a step along many more at once seldom improves a candidate
KEPT = 10
FEASIBILITY_WEIGHT = 3.0  # with 1, half of the later trials miss the requirement: the improvement there stays large


def suggest(
    space: Space,
    limits: Limits,
    records: Sequence[TrialRecord],
    *,
    seed: int,
    number: int,
    options: SearchOptions = NO_OPTIONS,
) -> Configuration | None:
    """A config that no trial has tried, or None where there is too little to learn from, or nothing new comes out."""
    curves = FullLengthCurves(records)
    if len(curves) < FEWEST_FULL_LENGTH:
        return None
    memory = memory_in_use(options, space, records)
    from sweeps.search.gaussian_process import fit

    chosen = informative(records, curves)
    known = observations(space, records, chosen)
    running = points_of(space, [record for record in records if record.status is None])
    fitted = fit(known if memory is None else with_memory(known, memory, space)).believing(running)
    acquisition = Acquisition(
        space=space,
        fitted=fitted,
        known=np.vstack([known.points[known.levels == 0], running]),
        feasibility=_feasibility(space, records, options),
        priors=options.priors,
        ends=len(curves),
    )
    tried = {record.identity for record in records}
    listed = space.grid(limits)
    if listed is not None:
        return _most_promising_of(acquisition, [config for config in listed if config.identity not in tried])
    for units in best_candidates(acquisition, limits, np.random.default_rng([seed, number])):
        config = space.at(units.tolist(), limits)
        if config.identity not in tried:
            return config
    return None


def memory_in_use(options: SearchOptions, space: Space, records: Sequence[TrialRecord]) -> Memory | None:
    """The memory, once it is known that the new ends agree with it."""
    if not options.memory:
        return None
    from sweeps.search.memory import agreement

    agreed = agreement(options.memory, space, records)
    return options.memory if agreed is not None and agreed.holds else None


def _feasibility(
    space: Space, records: Sequence[TrialRecord], options: SearchOptions
) -> list[tuple[GaussianProcess, float]]:
    """For each requirement a process over the margins of the full-length trials, and the noise's deviation."""
    from sweeps.search.gaussian_process import END, Observations, fit

    found = []
    for requirement in options.requirements:
        points, margins = [], []
        for record in records:
            margin = requirement.margin(record.best_report) if record.status == "finished" else None
            point = point_of(space, record)
            if margin is not None and point is not None:
                points.append(point)
                margins.append(margin)
        if len(margins) >= FEWEST_FULL_LENGTH:
            values = np.array(margins)
            low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
            reach = 3 * max(high - low, 1e-12)
            values = np.clip(values, middle - reach, middle + reach)
            process = fit(Observations(np.array(points), np.full(len(values), END), values))
            found.append((process, math.sqrt(process.end_noise)))
    return found


@dataclass(frozen=True)
class Acquisition:
    """The logarithm of the expected improvement, times the chance to be feasible, weighted by the user's beliefs.

    `known` are the points of trials with an end and of those that are running. Gardner et al., Bayesian Optimization
    with Inequality Constraints (ICML 2014).
    """

    space: Space
    fitted: GaussianProcess
    known: np.ndarray
    feasibility: Sequence[tuple[GaussianProcess, float]] = ()
    priors: Sequence[Prior] = ()
    ends: int = 0

    @cached_property
    def best(self) -> float | None:
        """The best end expected of a known point that is probably feasible; None where there is none."""
        expected = self.fitted.ends(self.known)[0][self.log_feasible(self.known) >= math.log(0.5)]
        return float(expected.min()) if len(expected) else None

    @property
    def good(self) -> np.ndarray:
        """Points of the unit cube: the best known ones."""
        expected = self.fitted.ends(self.known)[0] - self.log_feasible(self.known) * self.fitted.scale
        return units_of(self.space, self.known[np.argsort(expected, kind="stable")[:3]])

    def log_feasible(self, points: np.ndarray) -> np.ndarray:
        """The logarithm of the chance to meet all requirements, at encoded points."""
        from scipy.special import log_ndtr

        found = np.zeros(len(points))
        for process, noise in self.feasibility:
            mean, deviation = process.ends(points)
            found = found + log_ndtr(mean / np.hypot(deviation, noise))
        return found

    def log_value(self, units: np.ndarray) -> np.ndarray:
        """The acquisition at points of the unit cube; while nothing is feasible, the chance to be so alone."""
        points = encoded(self.space, units)
        value = FEASIBILITY_WEIGHT * self.log_feasible(points) if self.feasibility else np.zeros(len(units))
        if self.best is not None:
            value = value + log_expected_improvement(*self.fitted.ends(points), self.best)
        if self.priors:
            from sweeps.search.prior import log_belief

            value = value + log_belief(self.priors, self.space, units, self.ends)
        return value


def _most_promising_of(acquisition: Acquisition, configs: Sequence[Configuration]) -> Configuration | None:
    """The best config of a space that can be listed; None where none is left."""
    if not configs:
        return None
    searched = acquisition.space.searched
    units = [[parameter.unit(config.params[parameter.name]) for parameter in searched] for config in configs]
    return configs[int(np.argmax(acquisition.log_value(np.array(units, dtype=float))))]


def best_candidates(acquisition: Acquisition, limits: Limits, chance: np.random.Generator) -> Iterator[np.ndarray]:
    """Points of the unit cube over the searched parameters, the most promising first."""
    kept = _most_promising(acquisition, limits, first_candidates(acquisition.space, acquisition.good, chance))
    for distance in REFINEMENTS:
        near = [_moved(kept, distance, chance) for _ in range(NEAR_CANDIDATES)]
        kept = _most_promising(acquisition, limits, np.vstack([kept, *near]))
    yield from kept


def first_candidates(space: Space, good: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Points all over the unit cube, and around the good ones."""
    near = [_moved(good, distance, chance) for distance in NEAR_DISTANCES for _ in range(NEAR_CANDIDATES)]
    return np.vstack([chance.random((SPREAD_CANDIDATES, len(space.searched))), *near])


def _most_promising(acquisition: Acquisition, limits: Limits, candidates: np.ndarray) -> np.ndarray:
    """The candidates inside the limits with the largest acquisition, the largest first."""
    candidates = within(acquisition.space, limits, candidates)
    return candidates[np.argsort(-acquisition.log_value(candidates), kind="stable")[:KEPT]]


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
    """The points, each moved along some of its coordinates (Regis and Shoemaker 2013)."""
    steps = distance * chance.standard_normal(points.shape)
    dimensions = points.shape[1]
    if dimensions > MOVED_AT_ONCE:
        moves = chance.random(points.shape) < MOVED_AT_ONCE / dimensions
        still = ~moves.any(axis=1)
        moves[still, chance.integers(dimensions, size=int(still.sum()))] = True
        steps *= moves
    return np.asarray(np.clip(points + steps, 0.0, 1.0))
