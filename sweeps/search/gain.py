"""Whether more trials are likely to improve the best: what ends a search before its last trial.

"So many trials without a better one" is a poor rule: on recorded learning curves it lost more than a search could
afford in up to half of the runs. Here the Gaussian process of the search answers: posterior samples of the end over
many candidates, and the chance that the best batch of the trials that are left holds one that is better by the gain
asked for. The process is only believed where it predicts the ends that it was not fitted to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sweeps.search.acquisition import Acquisition, first_candidates
from sweeps.search.asha import rank_correlation
from sweeps.search.observations import informative, observations
from sweeps.search.points import encoded, points_of, within
from sweeps.space.limits import Limits
from sweeps.space.space import Space
from sweeps.trials.event import Event
from sweeps.trials.final_values import FullLengthCurves
from sweeps.trials.record import TrialRecord

if TYPE_CHECKING:
    from sweeps.search.gaussian_process import GaussianProcess

SLIGHT_CHANCE = 0.05  # of a gain, below which a search ends
FEWEST_ENDS = 10
ENDS_PER_DIMENSION = 3
CANDIDATES = 400
SAMPLES = 400
ADAPTIVE = 2  # a search that learns from each trial finds what a fixed batch of twice as many would
SHORTER = 0.7  # of the length scales: functions that vary more are possible, and are tried too
LARGEST_ERROR = 1.5  # root mean square of the left-out ends' errors, in the deviations that the process states
FEWEST_FORETOLD = 0.5  # rank correlation of the left-out ends with their predictions


@dataclass(frozen=True)
class GainRule:
    """End the search when a gain of `least` (a share of the best objective) has hardly a chance in the trials left."""

    least: float
    trials: int

    def chance(self, space: Space, limits: Limits, records: Sequence[TrialRecord], *, seed: int) -> float | None:
        """The chance of that gain, the larger one with and without the newest end; None where the process cannot know.

        Of ends that only noise tells apart a process now and then predicts some by luck, but hardly twice.
        """
        found = self._chance(space, limits, records, seed=seed)
        if found is None or found >= SLIGHT_CHANCE:
            return found
        newest = next(record for record in reversed(records) if record.status == "finished")
        earlier = self._chance(space, limits, [record for record in records if record is not newest], seed=seed)
        return None if earlier is None else max(found, earlier)

    def _chance(self, space: Space, limits: Limits, records: Sequence[TrialRecord], *, seed: int) -> float | None:
        curves = FullLengthCurves(records)
        dimensions = len(space.searched)
        if len(curves) < max(FEWEST_ENDS, ENDS_PER_DIMENSION * dimensions):
            return None
        from sweeps.search.gaussian_process import fit

        fitted = fit(observations(space, records, informative(records, curves)))
        if not is_believable(fitted):
            return None
        running = sum(record.status is None for record in records)
        left = self.trials - len(records) + running
        chance = np.random.default_rng([seed, len(records)])
        ends = fitted.given.points[fitted.given.levels == 0]
        known = np.vstack([ends, points_of(space, [record for record in records if record.status is None])])
        feasible = {record.trial_id for record in records if record.feasible}
        reached = [end for name, end in zip(curves.ids, curves.ends.tolist(), strict=True) if name in feasible]
        if not reached:
            return None
        best = min(reached)
        threshold = best - self.least * abs(best)
        found = _chance_of(space, limits, fitted, known, threshold, left, chance)
        if found >= SLIGHT_CHANCE:
            return found
        return max(found, _chance_of(space, limits, fitted.with_lengths(SHORTER), known, threshold, left, chance))


@dataclass(frozen=True)
class SearchEnd:
    """A search that ended early: a gain of `least` percent or more had only this `chance` in the trials left."""

    trials: int
    planned: int
    least: float
    chance: float

    @property
    def reason(self) -> str:
        """Why no more trials run, in words."""
        return (
            f"{self.trials} of {self.planned} trials are done; in the {self.planned - self.trials} left a gain of "
            f"{self.least:.2g} % has a chance of {self.chance:.0%}"
        )

    @property
    def saved(self) -> float:
        """The share of the search that it saved, where the trials left are as long as those that ran."""
        return 1 - self.trials / self.planned


def search_end(events: Sequence[Event], planned: int) -> SearchEnd | None:
    """How the search of a journal ended early; None where it did not, or was given more trials since."""
    found = next((event for event in reversed(events) if event.get("event") == "gain_unlikely"), None)
    if found is None:
        return None
    trials, then, least, chance = (float(str(found.get(key))) for key in ("trials", "planned", "least", "chance"))
    return SearchEnd(int(trials), int(then), least, chance) if then >= planned else None


class SearchEnding:
    """Decides before each new trial whether the search continues, anew once one more trial has run to its end."""

    def __init__(self, space: Space, limits: Limits, *, percent: float | None, trials: int, seed: int) -> None:
        self._space = space
        self._limits = limits
        self._rule = None if percent is None or space.controls else GainRule(percent / 100, trials)
        self._seed = seed
        self._ended = 0

    def __call__(self, records: Sequence[TrialRecord]) -> SearchEnd | None:
        """How the search ends now, or None."""
        ended = sum(record.status == "finished" for record in records)
        if self._rule is None or ended == self._ended or len(records) >= self._rule.trials:
            return None
        self._ended = ended
        chance = self._rule.chance(self._space, self._limits, records, seed=self._seed)
        if chance is None or chance >= SLIGHT_CHANCE:
            return None
        return SearchEnd(len(records), self._rule.trials, 100 * self._rule.least, chance)


def _chance_of(
    space: Space,
    limits: Limits,
    fitted: GaussianProcess,
    known: np.ndarray,
    threshold: float,
    left: int,
    chance: np.random.Generator,
) -> float:
    """The chance that the best batch of the trials left holds an end below the threshold."""
    if left <= 0:
        return 0.0
    good = Acquisition(space, fitted, known).good
    candidates = within(space, limits, first_candidates(space, good, chance))
    points = np.vstack([encoded(space, candidates), known])
    mean, deviation = fitted.ends(points)
    nearest = np.argsort((mean - threshold) / deviation, kind="stable")[:CANDIDATES]
    mean, covariance = fitted.joint_ends(points[nearest])
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    better = mean + chance.standard_normal((SAMPLES, len(nearest))) @ root.T < threshold
    covered = np.zeros(SAMPLES, dtype=bool)
    for _ in range(min(ADAPTIVE * left, len(nearest))):
        gains = (better & ~covered[:, None]).sum(axis=0)
        place = int(np.argmax(gains))
        if not gains[place]:
            break
        covered |= better[:, place]
    return float(covered.mean())


def is_believable(fitted: GaussianProcess) -> bool:
    """Whether the process foretells the ends that are left out one by one, and how far off it is."""
    ends, mean, deviation = fitted.left_out()
    errors = (ends - mean) / deviation
    foretold = rank_correlation(mean, ends)
    return foretold is not None and foretold >= FEWEST_FORETOLD and float(np.mean(errors**2)) <= LARGEST_ERROR**2
