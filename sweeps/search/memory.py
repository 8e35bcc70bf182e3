"""What earlier runs say about a new search: their full-length trials, as another correlated level of the process.

The ends of earlier runs are never taken as this data's ends: like a rung, their level has a slope and a noise of its
own, which are learned (sweeps/search/gaussian_process.py). At most two trials come from the memory alone, the second
unless the first is worse than the default. Once three of this data's ends are known, the memory is used where they
follow what it predicts for them, and left out where they do not: a misleading one costs a trial or two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sweeps.common.errors import RequestError
from sweeps.search.asha import rank_correlation
from sweeps.search.points import encoded, points_of, within
from sweeps.space.configuration import Configuration
from sweeps.space.limits import Limits
from sweeps.space.space import Space
from sweeps.trials.final_values import curve_ends
from sweeps.trials.record import TrialRecord

if TYPE_CHECKING:
    from sweeps.search.gaussian_process import GaussianProcess

TRIALS_AT_MOST = 40  # of all runs together: the best half of each, and a spread over the rest
FEWEST_TRIALS = 3
FEWEST_TO_JUDGE = 3
JUDGED_AT_MOST = 40  # ends, the first ones
ALIKE = 0.1  # of the unit interval, along each parameter
CENTRES = 10  # of the memory's best configs, around which the first ones are sought
SHIFT = 0.05  # of the unit interval: how far aside another data set has its best, as a deviation
SHIFTS = 64
EXCHANGES = 3
LEAST_AGREEMENT = 0.3  # correlation of the new ends with the memory's predictions


@dataclass(frozen=True)
class Memory:
    """Full-length trials of earlier runs: the searched values of each, and its cost in deviations of its run."""

    names: tuple[str, ...] = ()
    values: tuple[Mapping[str, object], ...] = ()
    costs: tuple[float, ...] = ()
    _predictors: dict[str, GaussianProcess] = field(default_factory=dict, compare=False, repr=False)

    def __bool__(self) -> bool:
        return bool(self.values)

    def as_dict(self) -> dict[str, object]:
        """Plain data for sweep.yaml, from which the run is repeated when the earlier ones are gone."""
        trials = [{"values": dict(v), "cost": c} for v, c in zip(self.values, self.costs, strict=True)]
        return {"from": list(self.names), "trials": trials}

    @staticmethod
    def from_mapping(given: Mapping[str, Any]) -> Memory:
        """The memory that sweep.yaml holds."""
        trials = given.get("trials", ())
        return Memory(
            tuple(map(str, given.get("from", ()))),
            tuple(dict(trial["values"]) for trial in trials),
            tuple(float(trial["cost"]) for trial in trials),
        )

    def observed(self, space: Space) -> tuple[np.ndarray, np.ndarray]:
        """Points of the unit cube [trials, searched] and costs [trials] of the trials that lie inside a space.

        A parameter that an earlier run did not search is taken at this space's default.
        """
        points, costs = [], []
        for values, cost in zip(self.values, self.costs, strict=True):
            units = [p.unit(values.get(p.name, p.default)) for p in space.searched]
            if all(unit is not None for unit in units):
                points.append(units)
                costs.append(cost)
        return np.array(points, dtype=float).reshape(-1, len(space.searched)), np.array(costs)


NO_MEMORY = Memory()


def memory_of(runs: Mapping[str, Sequence[TrialRecord]], space: Space) -> Memory:
    """The memory of runs, whose search's trials are given by name; RequestError where one has nothing to say."""
    kept: list[tuple[Mapping[str, object], float]] = []
    searched = [parameter.name for parameter in space.searched]
    for name, records in runs.items():
        if not any(_known(record, space) for record in records):
            raise RequestError(f"--from {name}: searched none of {', '.join(searched)}")
        ends = curve_ends(records)
        by_id = {record.trial_id: record for record in records}
        costs = list(ends.values())
        trials = [(_known(by_id[trial_id], space), end) for trial_id, end in ends.items()]
        if len(trials) < FEWEST_TRIALS:
            raise RequestError(
                f"--from {name}: has {len(trials)} full-length trials; at least {FEWEST_TRIALS} are needed"
            )
        middle = float(np.median([end for trial_id, end in ends.items() if by_id[trial_id].origin != "model"] or costs))
        kept += _standardised(_informative(trials, max(TRIALS_AT_MOST // len(runs), FEWEST_TRIALS)), middle)
    memory = Memory(tuple(runs), tuple(values for values, _ in kept), tuple(cost for _, cost in kept))
    if len(memory.observed(space)[0]) < FEWEST_TRIALS:
        raise RequestError(f"--from {', '.join(runs)}: hardly any of its trials lies inside this space")
    return memory


def _known(record: TrialRecord, space: Space) -> dict[str, object]:
    """What the space searches, of a trial: also a ratio of parameters that the trial had."""
    known = {**record.params, **record.coordinates}
    for name, (top, bottom) in ({} if space.ratios is None else space.ratios.pairs).items():
        numerator, denominator = known.get(top), known.get(bottom)
        if isinstance(numerator, (int, float)) and isinstance(denominator, (int, float)) and denominator:
            known.setdefault(name, numerator / denominator)
    return {parameter.name: known[parameter.name] for parameter in space.searched if parameter.name in known}


def _informative(
    trials: Sequence[tuple[Mapping[str, object], float]], most: int
) -> list[tuple[Mapping[str, object], float]]:
    """The best half of the most that are kept, and a spread over the rest."""
    ranked = sorted(trials, key=lambda entry: entry[1])
    half = most // 2
    rest = ranked[half:]
    places = np.linspace(0, max(len(rest) - 1, 0), min(most - half, len(rest)))
    return ranked[:half] + [rest[int(place)] for place in places]


def _standardised(
    trials: Sequence[tuple[Mapping[str, object], float]], middle: float
) -> list[tuple[Mapping[str, object], float]]:
    """Costs in deviations of their run, winsorised as the search's own are: `middle` is that of its first design."""
    costs = np.array([cost for _, cost in trials])
    costs = np.minimum(costs, middle + 2 * max(middle - costs.min(), 0.0))
    spread = float(costs.std()) or 1.0
    return [(values, float((cost - costs.mean()) / spread)) for (values, _), cost in zip(trials, costs, strict=True)]


def predictor(memory: Memory, space: Space) -> GaussianProcess:
    """A process over the memory alone, fitted once for a space."""
    if space.name not in memory._predictors:
        from sweeps.search.gaussian_process import END, Observations, fit

        points, costs = memory.observed(space)
        memory._predictors[space.name] = fit(Observations(encoded(space, points), np.full(len(costs), END), costs))
    return memory._predictors[space.name]


def first_from_memory(space: Space, limits: Limits, memory: Memory, *, count: int, seed: int) -> list[Configuration]:
    """Configs other than the default that are tried while nothing but the memory is known.

    Other data has its best a little aside. The configs are those of which the best one is expected to be best when the
    memory's function is moved by a normal step: two of them stand on both sides of the memory's best, along the
    parameter that it depends on most.
    """
    points, costs = memory.observed(space)
    chance = np.random.default_rng(seed)
    best = points[np.argsort(costs, kind="stable")[:CENTRES]]
    moves = np.array([parameter.distribution != "categorical" for parameter in space.searched])
    steps = SHIFT * moves * chance.standard_normal((SHIFTS, len(moves)))
    near = best[:, None] + np.concatenate([np.zeros((1, len(moves))), steps])
    candidates = within(space, limits, np.clip(near, 0.0, 1.0).reshape(-1, len(moves)))
    distinct = {space.at(units.tolist(), limits).identity: units for units in candidates}
    distinct.pop(space.default(limits).identity, None)
    if not distinct:
        return []
    units = np.array(list(distinct.values()))
    moved = np.clip(units[:, None] - steps, 0.0, 1.0).reshape(-1, len(moves))
    ends = predictor(memory, space).ends(encoded(space, moved))[0].reshape(len(units), SHIFTS)
    return [space.at(units[place].tolist(), limits) for place in _best_together(ends, count)]


def _best_together(ends: np.ndarray, count: int) -> list[int]:
    """Places of the candidates whose best is least on average: of `ends` [candidates, cases], one after the other, and
    each again for the others."""
    chosen: list[int] = []
    for turn in range(count * EXCHANGES):
        others = chosen if turn < count else [place for place in chosen if place != chosen[0]]
        so_far = ends[others].min(axis=0) if others else np.full(ends.shape[1], np.inf)
        expected = np.minimum(ends, so_far).mean(axis=1)
        expected[others] = np.inf
        chosen = [*others, int(np.argmin(expected))]
        if len(chosen) == len(ends):
            break
    return chosen


@dataclass(frozen=True)
class Agreement:
    """How this search's ends follow what the memory alone predicts for them.

    `rank` is the rank correlation, which is shown. The memory is used by the `linear` one: where most of a space is
    equally bad, their order is noise, and what counts is whether the memory's good configs are good here.
    """

    rank: float | None
    linear: float

    @property
    def holds(self) -> bool:
        """Whether the search uses the memory."""
        return self.linear >= LEAST_AGREEMENT


def agreement(memory: Memory, space: Space, records: Sequence[TrialRecord]) -> Agreement | None:
    """How far memory and search agree; None while there are too few ends.

    Of trials that are nearly alike only the first counts: a search ends with many around its best, of which noise makes
    the order. For the rank correlation, all of them count where hardly any others are left.
    """
    ends = curve_ends(records)
    points: list[np.ndarray] = []
    values: list[float] = []
    apart: list[bool] = []
    for record in records:
        point = points_of(space, [record])
        if record.trial_id in ends and len(point):
            apart.append(all(np.abs(point[0] - p).max() >= ALIKE for p, new in zip(points, apart, strict=False) if new))
            points.append(point[0])
            values.append(ends[record.trial_id])
        if sum(apart) == JUDGED_AT_MOST:
            break
    if not memory or sum(apart) < FEWEST_TO_JUDGE:
        return None
    predicted = predictor(memory, space).ends(np.array(points))[0]
    costs = np.array(values)
    rank = rank_correlation(predicted[apart], costs[apart])
    if rank is None:
        rank = rank_correlation(predicted, costs)
    predicted, costs = predicted[apart], costs[apart]
    middle = float(np.median(costs))
    costs = np.minimum(costs, middle + 2 * (middle - costs.min()))  # one that blew up is no agreement
    known = costs.std() > 0 and predicted.std() > 0
    linear = float(np.corrcoef(predicted, costs)[0, 1]) if known else 0.0
    return Agreement(rank, linear)
