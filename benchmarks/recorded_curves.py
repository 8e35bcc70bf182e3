"""What early stopping costs on recorded curves: sweeps resampled from runs whose trials were never stopped.

Each resampled sweep draws one run (a run is one seed), the default first and then other configs of it in random order,
plays their curves to the sweep's own rule on a simulated clock, and compares what comes back with what comes back where
nobody is stopped. The scale is the sd of a config's end over seeds, from configs that several runs have trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.search_functions import SearchFunction
from sweeps.common.budget import Budget
from sweeps.common.errors import RequestError
from sweeps.search.asha import FEWEST_FOR_A_CORRELATION, Rungs, rung_correlation
from sweeps.search.points import points_of
from sweeps.space.space import Space
from sweeps.trials.journal import read
from sweeps.trials.record import TrialRecord, add_event, best_record

TRIALS = 16
SLOTS = 2
FEWEST_CONFIGS = 8
SWEEPS = 400


@dataclass(frozen=True)
class Replay:
    """A resampled sweep: the end of the config that came back, epochs trained, trials stopped, and the trials' numbers
    by their best objective, as the sweep ranks them."""

    end: float
    epochs: int
    stopped: int
    ranking: tuple[int, ...]


def replay(curves: Sequence[Sequence[float]], *, stops: bool, slots: int = SLOTS) -> Replay:
    """Trials with these objectives by epoch, the default first, as a sweep runs and stops them."""
    length = max(map(len, curves))
    rungs = Rungs.of(Budget(len(curves), length))
    records: dict[str, TrialRecord] = {}
    waiting = iter(range(len(curves)))
    running: list[int | None] = [next(waiting, None) for _ in range(slots)]
    epochs = stopped = 0
    while any(number is not None for number in running):
        for slot, number in enumerate(running):
            if number is None:
                continue
            trial_id = f"t{number:04d}"
            if trial_id not in records:
                add_event(records, {"event": "trial_started", "trial_id": trial_id, "params": {"n": number}})
            epoch = records[trial_id].epochs + 1
            add_event(
                records,
                {"event": "report", "trial_id": trial_id, "epoch": epoch, "objective": curves[number][epoch - 1]},
            )
            epochs += 1
            lowest = records[trial_id].objective
            decision = (
                rungs.reach(trial_id, epoch, lowest, list(records.values()), protected=number == 0)
                if stops and lowest is not None
                else None
            )
            stop = decision is not None and decision.stop
            if stop or epoch == len(curves[number]):
                status = "stopped" if stop else "finished"
                add_event(records, {"event": "trial_ended", "trial_id": trial_id, "status": status})
                stopped += stop
                running[slot] = next(waiting, None)
    returned = best_record(records.values())
    assert returned is not None
    best = [(record.objective, int(str(record.params["n"]))) for record in records.values()]
    ranking = tuple(number for objective, number in sorted(one for one in best if one[0] is not None))
    return Replay(min(curves[int(str(returned.params["n"]))]), epochs, stopped, ranking)


def recorded_function(folder: Path, space: Space) -> SearchFunction:
    """A run's unstopped trials as a function over the unit cube of a space; RequestError where there are too few.

    A config gives the curve of the recorded one nearest to it, as its best objective so far, by which a sweep ranks.
    """
    records = [record for record in _full_curves(folder) if len(points_of(space, [record]))]
    if len(records) < FEWEST_CONFIGS:
        raise RequestError(
            f"{folder}: has {len(records)} unstopped trials in {space.name}, {FEWEST_CONFIGS} are needed"
        )
    points = points_of(space, records)
    curves = np.minimum.accumulate([_curve(record) for record in records], axis=1)
    bounds = {f"x{axis}": (0.0, 1.0) for axis in range(points.shape[1])}

    def value(config: Mapping[str, float], epoch: int, seed: int) -> float:
        away = points - np.array([config[name] for name in bounds])
        return float(curves[int((away**2).sum(axis=1).argmin()), epoch - 1])

    name, ends = f"{folder.parent.name}/{folder.name}", curves[:, -1]
    return SearchFunction(name, name, value, bounds, float(ends.min()), float(np.ptp(ends)), curves.shape[1])


def report_on_curves(folders: Sequence[Path]) -> list[str]:
    """How often stopping brings back a clearly worse config, and what it saves; RequestError without curves."""
    runs = {folder.name: _full_curves(folder) for folder in folders}
    spread = _seed_sd(list(runs.values()))
    sources = {name: records for name, records in runs.items() if len(records) >= FEWEST_CONFIGS}
    if spread is None or not sources:
        raise RequestError(
            f"{', '.join(map(str, folders))}: at least one run of {FEWEST_CONFIGS} unstopped trials is needed, and one "
            "config that several of the runs have trained"
        )
    chance = np.random.default_rng(1)
    worse, saved, stopped, losses = 0, 0.0, 0, []
    for _ in range(SWEEPS):
        records = sources[str(chance.choice(list(sources)))]
        others = records[1:]
        drawn = [records[0], *(others[int(index)] for index in chance.permutation(len(others))[: TRIALS - 1])]
        curves = [_curve(record) for record in drawn]
        free, careful = replay(curves, stops=False), replay(curves, stops=True)
        losses.append((careful.end - free.end) / spread)
        worse += losses[-1] > 1
        saved += 1 - careful.epochs / free.epochs
        stopped += careful.stopped
    lines = [
        f"{name}: {len(records)} unstopped trials, {_foretold(records)}"
        for name, records in runs.items()
        if len(records) >= FEWEST_FOR_A_CORRELATION
    ]
    return [
        *lines,
        f"sd of a config's end over seeds: {spread:.5f}",
        f"{SWEEPS} resampled sweeps of up to {TRIALS} trials, {SLOTS} at a time: stopping brought back a config worse "
        f"by more than one sd in {worse / SWEEPS:.1%} (mean loss {np.mean(losses):.2f} sd, largest {max(losses):.2f}), "
        f"stopped {stopped / SWEEPS:.1f} trials a sweep and saved {saved / SWEEPS:.0%} of the epochs",
    ]


def _foretold(records: Sequence[TrialRecord]) -> str:
    length = max(record.epochs for record in records)
    found = rung_correlation(records, Budget(1, length).first_rung)
    if found.value is None:
        return f"the rank correlation of epoch {found.rung} with the end is not known"
    return f"epoch {found.rung} against the end: rank correlation {found.value:+.2f} over {found.trials} trials"


def _full_curves(folder: Path) -> list[TrialRecord]:
    records = [record for record in read(folder / "trials.jsonl") if record.status == "finished"]
    length = max((record.epochs for record in records), default=0)
    return [record for record in records if record.epochs == length and len(_curve(record)) == length]


def _curve(record: TrialRecord) -> list[float]:
    values: list[float] = []
    for report in record.reports:
        value = report.get("objective")
        if isinstance(value, (int, float)) and math.isfinite(value):
            values.append(float(value))
    return values


def _seed_sd(runs: Sequence[Sequence[TrialRecord]]) -> float | None:
    """Pooled over the configs that were trained with more than one seed."""
    by_config: dict[str, dict[int, float]] = {}
    for record in (record for records in runs for record in records):
        if record.objective is not None:
            by_config.setdefault(record.identity, {})[record.seed] = record.objective
    several = [list(ends.values()) for ends in by_config.values() if len(ends) > 1]
    degrees = sum(len(ends) - 1 for ends in several)
    if not degrees:
        return None
    return math.sqrt(math.fsum((len(ends) - 1) * float(np.var(ends, ddof=1)) for ends in several) / degrees)
