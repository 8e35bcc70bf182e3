"""The search methods that benchmarks/search_efficiency.py compares: the sweep's own classes, and its rivals.

None of them starts Ray: what decides in Ray Tune are plain objects, which are fed here in the order in which Ray's loop
feeds them.
"""

from __future__ import annotations

import itertools
import logging
import math
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import optuna
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.search_functions import EPOCHS, SearchFunction
from sweeps.backend.callback import SweepCallback
from sweeps.backend.loop_state import LoopState
from sweeps.backend.scheduler import RungScheduler
from sweeps.backend.search_algorithm import SearchAlgorithm
from sweeps.common.budget import Budget
from sweeps.run.config import SweepConfig
from sweeps.search.asha import ETA, Rungs
from sweeps.search.options import SearchOptions
from sweeps.space.limits import NO_LIMITS
from sweeps.space.space import Space
from sweeps.space.space_file import space_from_mapping
from sweeps.trainer import Trainer
from sweeps.trials.final_values import ranked_by_end
from sweeps.trials.journal import Journal
from sweeps.trials.record import TrialRecord
from sweeps.tuner.confirmation_phase import ConfirmationPhase
from sweeps.tuner.search_phase import SearchPhase
from sweeps.tuner.trial_source import TrialSource

Config = Mapping[str, float]
MOST_TRIALS = 10_000
STEP = "training_iteration"

optuna.logging.set_verbosity(optuna.logging.ERROR)
logging.getLogger("ray.tune").setLevel(logging.ERROR)
warnings.simplefilter("ignore")


@dataclass(frozen=True)
class Job:
    """A config to train from one epoch to another (both counted); what was learned before is still there.

    `last` is None for the full length.
    """

    name: str
    config: Config
    first: int = 1
    last: int | None = None


class Method(Protocol):
    """Hands out jobs, hears every epoch, and says which config it would return."""

    def next_job(self) -> Job | None:
        """What a free slot trains; None while nothing can be said before others have reported."""

    def report(self, job: Job, epoch: int, value: float) -> bool:
        """Take in an epoch's value; whether the job ends here. It ends at its last epoch in any case."""

    def incumbent(self) -> Config | None:
        """The config that would be returned now."""

    def close(self) -> None:
        """Remove what it keeps on disk."""


class Sweep:
    """The sweep itself: its search algorithm, scheduler, callback and journal, as sweeps/backend/loop.py does it."""

    def __init__(
        self,
        space: Space,
        seed: int,
        slots: int,
        *,
        trials: int = MOST_TRIALS,
        epochs: int = EPOCHS,
        options: SearchOptions | None = None,
    ) -> None:
        self._open = ExitStack()
        memory = Path("/dev/shm")
        folder = self._open.enter_context(tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None))
        self._journal = journal = self._open.enter_context(Journal(Path(folder) / "trials.jsonl"))
        self._state = LoopState(journal)
        self._scheduler = RungScheduler(self._state, Rungs.of(Budget(trials, epochs)), epochs)
        self._callback = SweepCallback(self._state)
        config = SweepConfig(
            name="benchmark",
            output=Path(folder),
            space=space,
            trainer="",
            data="",
            budget=Budget(trials, epochs),
            seed=seed,
            limits=NO_LIMITS,
            search=options or SearchOptions(),
        )
        confirmation = ConfirmationPhase(config, Trainer, journal, searching=True)
        self._searcher = SearchAlgorithm(
            self._state,
            TrialSource(journal, SearchPhase(config, journal, {}), confirmation),
            lambda: slots,
            lambda record: {"trial_id": record.trial_id, "params": record.params},
        )
        self._numbers = itertools.count(1)
        self._ray_trials: dict[str, Any] = {}

    def next_job(self) -> Job | None:
        ray_id = f"ray{next(self._numbers)}"
        config = self._searcher.suggest(ray_id)
        if not isinstance(config, dict):
            return None
        trial = SimpleNamespace(trial_id=ray_id, config=config, error_file=None)
        self._ray_trials[config["trial_id"]] = trial
        self._scheduler.on_trial_add(None, trial)
        return Job(config["trial_id"], config["params"])

    def report(self, job: Job, epoch: int, value: float) -> bool:
        trial = self._ray_trials[job.name]
        result = {"epoch": epoch, "objective": value, "report": [{"epoch": epoch, "objective": value}]}
        stops = bool(self._scheduler.on_trial_result(None, trial, result) == "STOP")
        self._callback.on_step_end(iteration=0, trials=[])
        if stops:
            self._scheduler.on_trial_complete(None, trial, result)
            self._searcher.on_trial_complete(trial.trial_id, result)
        return stops

    def incumbent(self) -> Config | None:
        """What would be the first candidate of a confirmation."""
        ranked = ranked_by_end([record for record in self._journal.records if record.status is not None])
        return {name: float(str(value)) for name, value in ranked[0].params.items()} if ranked else None

    @property
    def records(self) -> list[TrialRecord]:
        """What the journal knows."""
        return self._journal.records

    def close(self) -> None:
        self._open.close()


class Stock:
    """Ray's OptunaSearch (TPE, as it comes) with ASHAScheduler (first rung at epoch 1, as it comes; eta 3)."""

    def __init__(self, function: SearchFunction, seed: int, slots: int) -> None:
        np.random.seed(seed)  # the scheduler draws a bracket from NumPy's global generator
        space = {name: optuna.distributions.FloatDistribution(*ends) for name, ends in function.bounds.items()}
        self._searcher = OptunaSearch(space=space, metric="objective", mode="min", seed=seed)
        self._scheduler = ASHAScheduler(
            time_attr=STEP, metric="objective", mode="min", max_t=function.epochs, reduction_factor=ETA
        )
        self._numbers = itertools.count(1)
        self._last: dict[str, tuple[float, Config]] = {}

    def next_job(self) -> Job | None:
        trial = SimpleNamespace(trial_id=f"t{next(self._numbers)}")
        config = self._searcher.suggest(trial.trial_id)
        self._scheduler.on_trial_add(None, trial)
        return Job(trial.trial_id, config)

    def report(self, job: Job, epoch: int, value: float) -> bool:
        trial, result = SimpleNamespace(trial_id=job.name), {STEP: epoch, "objective": value}
        stops = bool(self._scheduler.on_trial_result(None, trial, result) == "STOP")
        self._last[job.name] = (value, job.config)
        self._searcher.on_trial_result(job.name, result)
        if stops:
            self._scheduler.on_trial_complete(None, trial, result)
            self._searcher.on_trial_complete(job.name, result)
        return stops

    def incumbent(self) -> Config | None:
        """The best last value, as get_best_result gives it."""
        return min(self._last.values(), key=lambda entry: entry[0])[1] if self._last else None

    def close(self) -> None:
        """Nothing is kept on disk."""


class FullLength:
    """An Optuna sampler that sees full lengths only, and stops nobody."""

    def __init__(self, function: SearchFunction, sampler: optuna.samplers.BaseSampler) -> None:
        self._study = optuna.create_study(sampler=sampler)
        self._epochs = function.epochs
        self._space: dict[str, optuna.distributions.BaseDistribution] = {
            name: optuna.distributions.FloatDistribution(*ends) for name, ends in function.bounds.items()
        }
        self._asked: dict[str, optuna.Trial] = {}
        self._best: tuple[float, Config] | None = None

    def next_job(self) -> Job | None:
        trial = self._study.ask(self._space)
        name = f"t{trial.number}"
        self._asked[name] = trial
        return Job(name, trial.params)

    def report(self, job: Job, epoch: int, value: float) -> bool:
        if epoch < self._epochs:
            return False
        self._study.tell(self._asked.pop(job.name), value)
        if self._best is None or value < self._best[0]:
            self._best = value, job.config
        return True

    def incumbent(self) -> Config | None:
        return None if self._best is None else self._best[1]

    def close(self) -> None:
        """Nothing is kept on disk."""


class OneEpoch:
    """One epoch of many random configs, then the top of them at full length; and again (Egele et al. 2023)."""

    def __init__(self, function: SearchFunction, seed: int, configs: int = 60, top: int = 5) -> None:
        self._chance = np.random.default_rng(seed)
        self._bounds, self._epochs = function.bounds, function.epochs
        self._configs, self._top = configs, top
        self._jobs = self._plan()
        self._first: dict[str, tuple[float, Config]] = {}
        self._best: tuple[float, Config] | None = None

    def _plan(self) -> Iterator[Job | None]:
        for batch in itertools.count():
            self._first = {}
            for number in range(self._configs):
                config: Config = {name: self._chance.uniform(*ends) for name, ends in self._bounds.items()}
                yield Job(f"b{batch}c{number}", config, last=1)
            while len(self._first) < self._configs:
                yield None
            chosen = sorted(self._first.items(), key=lambda entry: entry[1][0])[: self._top]
            for name, (_, config) in chosen:
                yield Job(name, config, first=2)

    def next_job(self) -> Job | None:
        return next(self._jobs)

    def report(self, job: Job, epoch: int, value: float) -> bool:
        if epoch == 1:
            self._first[job.name] = value, job.config
        if epoch == self._epochs and (self._best is None or value < self._best[0]):
            self._best = value, job.config
        return epoch == (job.last or self._epochs)

    def incumbent(self) -> Config | None:
        return None if self._best is None else self._best[1]

    def close(self) -> None:
        """Nothing is kept on disk."""


SWEEP, FULL_GP = "sweep", "GP at full length"
FULL_LENGTH_ONLY = (FULL_GP, "random at full length", "Sobol at full length")
METHODS = (
    SWEEP,
    FULL_GP,
    "OptunaSearch + ASHA",
    "random at full length",
    "one epoch then top 5 of 60",
    "Sobol at full length",
)


def space_of(function: SearchFunction) -> Space:
    """The function's bounds as a search space, its middle as the default."""
    parameters = {
        name: {"distribution": "uniform", "min": low, "max": high, "default": (low + high) / 2}
        for name, (low, high) in function.bounds.items()
    }
    return space_from_mapping({"parameters": parameters}, function.name)


def make_method(name: str, function: SearchFunction, seed: int, slots: int) -> Method:
    """A method at its start."""
    if name == SWEEP:
        return Sweep(space_of(function), seed, slots, epochs=function.epochs)
    if name == FULL_GP:
        return FullLength(function, optuna.samplers.GPSampler(seed=seed))
    if name == "random at full length":
        return FullLength(function, optuna.samplers.RandomSampler(seed=seed))
    if name == "Sobol at full length":
        return FullLength(function, optuna.samplers.QMCSampler(seed=seed, scramble=True))
    if name == "OptunaSearch + ASHA":
        return Stock(function, seed, slots)
    return OneEpoch(function, seed)


@dataclass(frozen=True)
class Course:
    """How a search went: epochs until within the tolerance (None: not within the cap), and its regret from when on."""

    reached: int | None
    regrets: tuple[tuple[int, float], ...]
    jobs: int

    def regret_at(self, epochs: int) -> float:
        """The incumbent's regret after so many epochs, as a share of the range; nan before there is one.

        A search ends where it is within the tolerance, so later epochs show the regret that it had then.
        """
        return next((regret for since, regret in reversed(self.regrets) if since <= epochs), math.nan)


def drive(
    method: Method, function: SearchFunction, seed: int, *, slots: int, cap: int, tolerance: float = 0.01
) -> Course:
    """Run a method on a simulated clock: an epoch takes one unit in each slot, and all epochs are counted."""
    running: list[tuple[Job, int] | None] = [None] * slots
    regrets: list[tuple[int, float]] = []
    used = jobs = 0
    while used < cap:
        for slot in range(slots):
            if running[slot] is None and (job := method.next_job()) is not None:
                running[slot] = job, job.first
                jobs += 1
        if not any(running):
            break  # all trials that the method may run are done
        for slot, at in enumerate(running):
            if at is None:
                continue
            job, epoch = at
            used += 1
            ends = method.report(job, epoch, function.value(job.config, epoch, seed))
            running[slot] = None if ends or epoch == (job.last or function.epochs) else (job, epoch + 1)
            best = method.incumbent() if running[slot] is None else None
            if best is None:
                continue
            regret = (function.truth(best) - function.optimum) / function.range
            if not regrets or regret != regrets[-1][1]:
                regrets.append((used, regret))
            if regret <= tolerance:
                return Course(used, tuple(regrets), jobs)
    return Course(None, tuple(regrets), jobs)
