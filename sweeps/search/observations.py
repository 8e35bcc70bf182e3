"""What the Gaussian process is fitted to: the ends of trials, their values at the rungs, and a memory's ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sweeps.search.points import encoded, point_of
from sweeps.space.space import Space
from sweeps.trials.final_values import FullLengthCurves, curve_ends
from sweeps.trials.record import TrialRecord

if TYPE_CHECKING:
    from sweeps.search.gaussian_process import Observations
    from sweeps.search.memory import Memory

FITTED_AT_MOST = 64  # a Gaussian process costs the cube of its trials
RUNGS_AT_MOST = 3
FEWEST_FOR_A_MIDDLE = 3


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
        point = point_of(space, record)
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


def with_memory(known: Observations, memory: Memory, space: Space) -> Observations:
    """The observations with the memory's trials as one more level."""
    points, costs = memory.observed(space)
    return replace(
        known,
        points=np.vstack([known.points, encoded(space, points)]),
        levels=np.concatenate([known.levels, np.full(len(costs), known.rungs + 1)]),
        values=np.concatenate([known.values, costs]),
        remembered=True,
    )
