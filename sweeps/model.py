"""The model-based sampler: Optuna's GPSampler over what the search has learned, one suggestion at a time.

Low fidelities mislead, so the model never sees a rung's value as if it were final. Only full-length trials count as
they are; a stopped one stands at the end it would have been expected to reach, judged by the full-length trials' own
way from that rung to the end, and never better than the best of them; a diverged one stands at the worst end seen, so
that its region is avoided. Without an entry for the stopped ones the model would suggest their place again and again.

A suggestion depends on the records, the seed and the trial's number alone, so a resumed sweep suggests the same.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from sweeps.configuration import Configuration
from sweeps.limits import Limits
from sweeps.objective import OBJECTIVE
from sweeps.optuna_store import direction, distributions, searched_values
from sweeps.records import TrialRecord
from sweeps.space import Space

FEWEST_FULL_LENGTH = 2
GP_AT_MOST = 100  # a Gaussian process costs the cube of its trials; beyond this TPE is used
TOLD_AT_MOST = 200  # keeps the cost of a suggestion flat in sweeps of a thousand trials
ATTEMPTS = 4


def preload() -> None:
    """Import what the search needs: seconds that can pass while Ray starts instead of between two trials."""
    for module in ("scipy.stats", "torch", "optuna._gp.gp", "optuna._gp.optim_mixed"):
        importlib.import_module(module)


def suggest(
    space: Space, limits: Limits, records: Sequence[TrialRecord], *, seed: int, number: int
) -> Configuration | None:
    """A config that no trial has tried, or None where there is too little to learn from, or nothing new comes out."""
    ends = expected_ends(records)
    if sum(record.status == "finished" and record.objective is not None for record in records) < FEWEST_FULL_LENGTH:
        return None
    tried = {record.identity for record in records}
    for attempt in range(ATTEMPTS):
        values = _ask(space, records, ends, seed=seed * 1_000_003 + number * ATTEMPTS + attempt)
        config = _readable(space, limits, values)
        if config.identity not in tried:
            return config
    return None


def expected_ends(records: Sequence[TrialRecord]) -> dict[str, float]:
    """The objective at full length by trial id: measured, or for stopped and diverged trials what the model is told."""
    finished = [record for record in records if record.status == "finished" and record.objective is not None]
    ends = {record.trial_id: record.objective for record in finished if record.objective is not None}
    if not ends:
        return {}
    best = min(ends.values()) if OBJECTIVE.mode == "min" else max(ends.values())
    cut_short = [r for r in records if r.status in ("stopped", "budget") and r.objective is not None]
    ways = {epoch: _usual_way(epoch, finished) for epoch in {record.epochs for record in cut_short}}
    for record in cut_short:
        end = (record.objective or 0.0) + ways[record.epochs]
        ends[record.trial_id] = best if OBJECTIVE.better(end, best) else end
    worst = max(ends.values()) if OBJECTIVE.mode == "min" else min(ends.values())
    ends |= {record.trial_id: worst for record in records if record.status == "diverged"}
    return ends


def _usual_way(epoch: int, finished: Sequence[TrialRecord]) -> float:
    """How far full-length trials usually went from where they stood in `epoch` to where they ended."""
    ways = [
        record.objective - record.running_best[epoch]
        for record in finished
        if record.objective is not None and epoch in record.running_best
    ]
    return float(np.median(ways)) if ways else 0.0


def _ask(space: Space, records: Sequence[TrialRecord], ends: dict[str, float], *, seed: int) -> dict[str, Any]:
    import optuna
    from optuna.trial import TrialState, create_trial

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler: optuna.samplers.BaseSampler = (
                optuna.samplers.GPSampler(seed=seed % 2**32, n_startup_trials=1)
                if len(ends) <= GP_AT_MOST
                else optuna.samplers.TPESampler(seed=seed % 2**32, multivariate=True, constant_liar=True)
            )
            study = optuna.create_study(sampler=sampler, direction=direction())
            known = distributions(space)
            for record in _told(records, ends):
                values = searched_values(space, record)
                if values.keys() != known.keys():
                    continue
                if record.trial_id in ends:
                    trial = create_trial(params=values, distributions=known, value=ends[record.trial_id])
                elif record.status is None:
                    trial = create_trial(params=values, distributions=known, state=TrialState.RUNNING)
                else:
                    continue
                study.add_trial(trial)
            return dict(study.ask(known).params)
    finally:
        optuna.logging.set_verbosity(before)


def _told(records: Sequence[TrialRecord], ends: dict[str, float]) -> Sequence[TrialRecord]:
    """The trials that the sampler hears of: all of them, or of very many the best, the newest and those that run."""
    if len(records) <= TOLD_AT_MOST:
        return records
    sign = 1 if OBJECTIVE.mode == "min" else -1
    best = sorted(ends, key=lambda trial_id: (sign * ends[trial_id], trial_id))[: TOLD_AT_MOST // 2]
    kept = {*best, *(record.trial_id for record in records[-(TOLD_AT_MOST // 2) :])}
    return [record for record in records if record.trial_id in kept or record.status is None]


def _readable(space: Space, limits: Limits, values: dict[str, Any]) -> Configuration:
    full = {parameter.name: parameter.default for parameter in space.parameters}
    for parameter in space.searched:
        value = values[parameter.name]
        full[parameter.name] = value if parameter.distribution == "categorical" else parameter.rounded(value)
    return space.configuration(full, limits)
