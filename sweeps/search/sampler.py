"""Which config comes next: the default, then a scrambled Sobol cohort, then the model; never one twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.search.acquisition import memory_in_use, suggest
from sweeps.search.memory import first_from_memory
from sweeps.search.options import NO_OPTIONS, SearchOptions
from sweeps.search.prior import drawn_from
from sweeps.space.configuration import Configuration
from sweeps.space.limits import Limits
from sweeps.space.space import Space
from sweeps.trials.record import TrialRecord

LARGEST_COHORT = 4
FROM_MEMORY = 2  # configs of the first design; where the memory misleads, they are lost
TRIALS_BEFORE_MEMORY = 4  # after which a memory that agrees with them takes the place of the rest of the design
SECOND_OF_MEMORY = 5  # the trial that tries the memory's second config, unless the first is worse than the default
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
    """A config to try and where it came from: default, memory, prior, sobol, model or control."""

    config: Configuration
    origin: str


class Sampler:
    """Proposes a trial from its number and the records before it, always of one journal: the same sweep proposes the
    same, resumed or not."""

    def __init__(
        self, space: Space, limits: Limits, *, seed: int, cohort: int, options: SearchOptions = NO_OPTIONS
    ) -> None:
        self._space = space
        self._options = options
        self._limits = limits
        self._seed = seed
        self._cohort = [] if space.controls else self._first_design(cohort)

    def _first_design(self, size: int) -> list[Proposal]:
        """What comes between the default and the model: the memory's best, beliefs, and Sobol configs."""
        options = self._options
        remembered: list[Proposal] = []
        if options.memory and size > 0:
            count = min(FROM_MEMORY, size)
            configs = first_from_memory(self._space, self._limits, options.memory, count=count, seed=self._seed)
            remembered = [Proposal(config, "memory") for config in configs]
        seen = {proposal.config.identity for proposal in remembered}
        fresh = (proposal for proposal in self._new_configs() if proposal.config.identity not in seen)
        between = [proposal for proposal, _ in zip(fresh, range(size), strict=False)]
        place = SECOND_OF_MEMORY - 3  # after the default and the memory's first
        return remembered[:1] + between[:place] + remembered[1:] + between[place:]

    def propose(self, number: int, records: Sequence[TrialRecord]) -> Proposal | None:
        """The config of trial `number` (from 1); None where the space holds nothing that was not tried."""
        if self._space.controls:
            listed = self._space.trials
            return Proposal(listed[number - 1], "control") if number <= len(listed) else None
        if number == 1:
            return Proposal(self._space.default(self._limits), "default")
        planned = self._planned(records)
        if number - 2 < len(planned) and not (number > TRIALS_BEFORE_MEMORY and self._remembers(records)):
            return planned[number - 2]
        config = suggest(self._space, self._limits, records, seed=self._seed, number=number, options=self._options)
        if config is not None:
            return Proposal(config, "model")
        tried = {record.identity for record in records} | {proposal.config.identity for proposal in self._cohort}
        grid = self._space.grid(self._limits)
        if grid is not None:
            left = [config for config in grid if config.identity not in tried]
            chance = np.random.default_rng([self._seed, number])
            return Proposal(left[int(chance.integers(len(left)))], "sobol") if left else None
        return next((later for later in self._new_configs() if later.config.identity not in tried), None)

    def _planned(self, records: Sequence[TrialRecord]) -> list[Proposal]:
        """The first design; without the memory's second config where the first is worse than the default."""
        if not _memory_fell_short(records):
            return self._cohort
        tried = {record.identity for record in records}
        return [one for one in self._cohort if one.origin != "memory" or one.config.identity in tried]

    def _remembers(self, records: Sequence[TrialRecord]) -> bool:
        """Whether a memory is in use."""
        return memory_in_use(self._options, self._space, records) is not None

    def _new_configs(self) -> Iterator[Proposal]:
        """Distinct configs of a scrambled Sobol sequence, first those inside the limits as they stand; every other one
        is drawn from the user's beliefs."""
        from scipy.stats.qmc import Sobol

        points = Sobol(len(self._space.searched), scramble=True, rng=np.random.default_rng(self._seed))
        seen = {self._space.default(self._limits).identity}
        priors = self._options.priors
        drawn = count = 0
        while drawn < SOBOL_POINTS:
            size = 64 if drawn == 0 else drawn
            for units in points.random(size):
                count += 1
                believed = bool(priors) and count % 2 == 1
                if believed:
                    units = drawn_from(priors, self._space, units)
                if not self._space.feasible(units, self._limits):
                    continue
                config = self._space.at(units, self._limits)
                if config.identity not in seen:
                    seen.add(config.identity)
                    yield Proposal(config, "prior" if believed else "sobol")
            drawn += size


def _memory_fell_short(records: Sequence[TrialRecord]) -> bool:
    """Whether the memory's first config is worse than the default at the last epoch that both have reported."""
    first = next((record for record in records if record.origin == "memory"), None)
    default = next((record for record in records if record.origin == "default"), None)
    if first is None or default is None:
        return False
    common = set(first.running_cost) & set(default.running_cost)
    return bool(common) and first.running_cost[max(common)] > default.running_cost[max(common)]
