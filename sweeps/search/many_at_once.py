"""The model-based sampler where very many trials run at once: a bounded number of them is told, and several configs are
planned at a time.

A Gaussian process costs the cube of what it is told, and with hundreds of slots a config is wanted every second, while
one more end changes next to nothing. So the model hears of the best ends, a spread of the other ended trials and the
best of those that run, never of more than a fixed number: Syne Tune bounds its processes that way, by the best and a
random rest. It is fitted once for several configs: SMAC retrains after every eighth. Within a plan each config is
chosen as if those before it were running.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sweeps.search.acquisition import (
    FEWEST_FULL_LENGTH,
    TOLD_AT_MOST,
    best_candidates,
    best_ends,
    encoded,
    first_candidates,
    log_expected_improvement,
    most_promising,
    observations,
    points_of,
)
from sweeps.search.gaussian_process import GaussianProcess, fit
from sweeps.space.configuration import Configuration
from sweeps.space.limits import Limits
from sweeps.space.space import Space
from sweeps.trials.final_values import FullLengthCurves
from sweeps.trials.objective import OBJECTIVE
from sweeps.trials.record import TrialRecord

RUNNING_PER_PLANNED = 32
PLANNED_AT_MOST = 16
BELIEVED_AT_MOST = 256
POOL = 250


def plan_size(running: int) -> int:
    """How many configs are planned at a time: a small part of those that run, whose results are not known either."""
    return min(running // RUNNING_PER_PLANNED, PLANNED_AT_MOST)


def suggest_several(
    space: Space, limits: Limits, records: Sequence[TrialRecord], curves: FullLengthCurves, *, seed: int, number: int
) -> list[Configuration]:
    """Configs for trial `number` and those after it that no trial has tried; none where there is too little to learn
    from. `curves` are those of `records`."""
    if len(curves) < FEWEST_FULL_LENGTH:
        return []
    running = [record for record in records if record.status is None]
    known = observations(space, log(records, curves))
    fitted = fit(known)
    ends = known.points[known.levels == 0]
    points = points_of(space, running)
    believed = points[_most_in_the_way(fitted, points, ends)]
    believing = fitted.believing(believed)
    there = np.vstack([ends, believed])
    chance = np.random.default_rng([seed, number])
    best = np.array(list(best_candidates(space, limits, believing, there, chance)))
    others, least = first_candidates(space, believing, there, chance)
    pool = np.vstack([best, most_promising(space, limits, believing, others, least, POOL)])
    return _one_after_another(space, limits, believing, pool, least, records, plan_size(len(running)))


def log(records: Sequence[TrialRecord], curves: FullLengthCurves) -> list[TrialRecord]:
    """The best ends, a spread over the other trials that have ended, and the best of those that run and came to a
    rung: as many of each."""
    each = TOLD_AT_MOST // 2
    best = set(best_ends(curves, each))
    others = [record for record in records if record.status not in (None, "failed") and record.trial_id not in best]
    places = np.linspace(0, len(others) - 1, min(each, len(others))).astype(int)
    worse = 1.0 if OBJECTIVE.mode == "min" else -1.0
    seen = [
        (worse * record.best.value, record.trial_id) for record in records if _runs_past_a_rung(record) and record.best
    ]
    kept = best | {others[place].trial_id for place in places} | {trial_id for _, trial_id in sorted(seen)[:each]}
    return [record for record in records if record.trial_id in kept]


def _runs_past_a_rung(record: TrialRecord) -> bool:
    return record.status is None and bool(record.rungs)


def _most_in_the_way(fitted: GaussianProcess, running: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Which of the running trials the model has to believe in: those beside which another one would promise most."""
    if len(running) <= BELIEVED_AT_MOST:
        return np.arange(len(running))
    promise = log_expected_improvement(*fitted.ends(running), float(fitted.ends(ends)[0].min()))
    return np.sort(np.argsort(-promise, kind="stable")[:BELIEVED_AT_MOST])


def _one_after_another(
    space: Space,
    limits: Limits,
    fitted: GaussianProcess,
    pool: np.ndarray,
    least: float,
    records: Sequence[TrialRecord],
    count: int,
) -> list[Configuration]:
    """The most promising of the pool, then again with what believing in it leaves unsure, `count` times."""
    mean, covariance = fitted.joint_ends(encoded(space, pool))
    noise = fitted.end_noise
    tried = {record.identity for record in records}
    found: list[Configuration] = []
    open_to = np.ones(len(pool), dtype=bool)
    while len(found) < count and open_to.any():
        deviation = np.sqrt(np.maximum(covariance.diagonal(), 1e-10))
        promise = np.where(open_to, log_expected_improvement(mean, deviation, least), -np.inf)
        place = int(np.argmax(promise))
        open_to[place] = False
        config = space.at(pool[place].tolist(), limits)
        if config.identity in tried:
            continue
        tried.add(config.identity)
        found.append(config)
        column = covariance[:, place].copy()
        covariance -= np.outer(column, column) / (column[place] + noise)
    return found
