"""Which config comes next: the default, then a scrambled Sobol cohort, then the model; never one twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.space.configuration import Configuration
from sweeps.space.limits import Limits
from sweeps.space.space import Space
from sweeps.trials.final_values import FullLengthCurves
from sweeps.trials.record import TrialRecord

LARGEST_COHORT = 4
MANY_DIMENSIONS = 7
LARGEST_COHORT_IN_MANY_DIMENSIONS = 9
SOBOL_POINTS = 4096  # of which as many are drawn as it takes to find configs that are new and inside the limits


def cohort_size(trials: int, dimensions: int = 1) -> int:
    """How many Sobol configs come before the model: at most about half of the trials.

    Up to 6 dimensions at most 4, because more only delay the model; from 7 on at most 9, because it learns little there
    from 4 (benchmarks/search_efficiency.py, level heavy7).
    """
    most = LARGEST_COHORT if dimensions < MANY_DIMENSIONS else LARGEST_COHORT_IN_MANY_DIMENSIONS
    return max(min((trials - 1) // 2, most), 0)


@dataclass(frozen=True)
class Proposal:
    """A config to try and where it came from: default, sobol, model or control."""

    config: Configuration
    origin: str


class Sampler:
    """Proposes a trial from its number and the records before it, always of one journal: the same sweep proposes the
    same, resumed or not."""

    def __init__(self, space: Space, limits: Limits, *, seed: int, cohort: int) -> None:
        self._space = space
        self._limits = limits
        self._seed = seed
        self._cohort: list[Configuration] = []
        self._curves = FullLengthCurves()
        if not space.controls:
            self._sobol = self._new_configs()
            self._cohort = [config for config, _ in zip(self._sobol, range(cohort), strict=False)]

    def propose(self, number: int, records: Sequence[TrialRecord]) -> Proposal | None:
        """The config of trial `number` (from 1); None where the space holds nothing that was not tried."""
        if self._space.controls:
            listed = self._space.trials
            return Proposal(listed[number - 1], "control") if number <= len(listed) else None
        if number == 1:
            return Proposal(self._space.default(self._limits), "default")
        if number - 2 < len(self._cohort):
            return Proposal(self._cohort[number - 2], "sobol")
        config = self._from_model(number, records)
        if config is not None:
            return Proposal(config, "model")
        tried = {record.identity for record in records} | {config.identity for config in self._cohort}
        grid = self._space.grid(self._limits)
        if grid is not None:
            left = [config for config in grid if config.identity not in tried]
            chance = np.random.default_rng([self._seed, number])
            return Proposal(left[int(chance.integers(len(left)))], "sobol") if left else None
        fresh = (config for config in self._new_configs() if config.identity not in tried)
        later = next(fresh, None)
        return None if later is None else Proposal(later, "sobol")

    def _from_model(self, number: int, records: Sequence[TrialRecord]) -> Configuration | None:
        self._curves.take_in(records)
        from sweeps.search.acquisition import suggest

        return suggest(self._space, self._limits, records, seed=self._seed, number=number, curves=self._curves)

    def _new_configs(self) -> Iterator[Configuration]:
        """Distinct configs of a scrambled Sobol sequence, first those inside the limits as they stand."""
        from scipy.stats.qmc import Sobol

        points = Sobol(len(self._space.searched), scramble=True, rng=np.random.default_rng(self._seed))
        seen = {self._space.default(self._limits).identity}
        drawn = 0
        while drawn < SOBOL_POINTS:
            size = 64 if drawn == 0 else drawn
            for units in points.random(size):
                if not self._space.feasible(units, self._limits):
                    continue
                config = self._space.at(units, self._limits)
                if config.identity not in seen:
                    seen.add(config.identity)
                    yield config
            drawn += size
