"""Run, resume or confirm a sweep: everything asked for is checked before anything is written or started."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, Unpack, cast

from sweeps.backend.environment import (
    Environment,
    environment_of,
    fetched_first,
    plan_again,
    plan_for,
    with_stored_data,
)
from sweeps.common.errors import RequestError
from sweeps.confirm.confirmation import confirmation_of
from sweeps.confirm.plan import SEQUENTIAL_LOOKS
from sweeps.confirm.verdict import Verdict
from sweeps.run.config import DATA_CHANGED, SweepConfig, raised, sweep_yaml
from sweeps.run.folder import RunFolder, new_run, read_sweep_yaml, unused_folder, write_sweep_yaml
from sweeps.run.resources import Resources
from sweeps.run.run import Run, SweepResult, read_run
from sweeps.search.options import checked_gain
from sweeps.space.space import beyond_limits
from sweeps.storage.disk_use import disk_estimate
from sweeps.storage.object_store import storage_uri
from sweeps.trainer import Trainer, load_trainer, unknown_params
from sweeps.trials.record import searched
from sweeps.tuner.callbacks import CallbackOptions, Callbacks, Hook
from sweeps.tuner.output_files import rewrite_files
from sweeps.tuner.tuner import Tuner
from sweeps.tuner.value_checks import impossible_values

LARGEST_SEED = 2**31 - 1

__all__ = [
    "Hook",
    "Run",
    "SweepResult",
    "check",
    "confirm",
    "environment_of",
    "plan_for",
    "read_run",
    "resume",
    "rewrite_files",
    "run",
]


def check(config: SweepConfig) -> type[Trainer]:
    """The trainer's class, after everything that can be wrong with a request was looked at."""
    given = {**config.space.fixed, **config.set_params}
    problems = beyond_limits(config.space, given, config.limits, allow_unsafe=config.allow_unsafe)
    searched = [name for name in config.set_params if name in config.columns]
    if searched:
        raise RequestError(f"--set {searched[0]}: space {config.space.name} searches it already")
    most = SEQUENTIAL_LOOKS[-1].seeds
    if config.confirm_seeds != "auto" and not 0 <= config.confirm_seeds <= most:
        raise RequestError(
            f"--confirm-seeds {config.confirm_seeds}: auto, or 0 to {most}; the last planned look is at {most} seeds"
        )
    if not 0 < config.smallest_gain_percent < 100:
        raise RequestError(f"--smallest-gain {config.smallest_gain_percent:g}: expected per cent between 0 and 100")
    if not 0 <= config.seed <= LARGEST_SEED:
        raise RequestError(f"--seed {config.seed}: 0 to {LARGEST_SEED}")
    trainer = load_trainer(config.loadable_trainer)
    if config.rivals and not trainer.rivals():
        raise RequestError(f"--rivals: trainer {config.trainer} names no methods that need no sweep")
    known = trainer.default_params()
    if known is not None:
        where = dict.fromkeys(config.space.hyperparameters, f"space {config.space.name}")
        where |= dict.fromkeys(config.space.fixed, f"space {config.space.name}, set")
        where |= dict.fromkeys(config.set_params, "--set")
        values = {**known, **config.fixed}  # a resumed run's hold what --set fixed when it was started
        problems += unknown_params(where, known) or impossible_values(trainer, config, values)
    if problems:
        raise RequestError("; ".join(problems))
    return trainer


def check_room(config: SweepConfig, resources: Resources, trainer: type[Trainer]) -> None:
    """RequestError where the disk has not even room for two trials."""
    few = replace(
        config, confirm_seeds=0, budget=replace(config.budget, trials=min(2, config.budget.trials)), storage=None
    )
    needed = disk_estimate(few, resources, trainer.checkpoint_bytes(config.shared_params))
    free = RunFolder(config.output / config.name).free_bytes()
    if free < needed.total:
        raise RequestError(
            f"--output {config.output}: {free / 1e6:,.0f} MB are free on this disk, and two trials need "
            f"{needed.total / 1e6:,.0f} MB ({needed}): make room, or name another folder"
        )


def unused(environment: Environment, config: SweepConfig) -> RunFolder:
    """The folder that the run would get; RequestError where it, or the storage, holds a run of that name."""
    if environment.stored is not None and environment.stored.exists:
        raise RequestError(
            f"--name {config.name}: {environment.stored.storage.uri} holds a run of that name already; "
            "resume it, or choose another name"
        )
    return unused_folder(config.output, config.name)


def run(
    config: SweepConfig,
    *,
    environment: Environment | None = None,
    resources: Resources | None = None,
    **options: Unpack[CallbackOptions],
) -> SweepResult:
    """Run a new sweep, in `environment` or where the config says, with `resources` or as `plan_for` plans them.

    Raises:
        RequestError: before anything is written.
        SweepFailed: no trial came to a result.
    """
    trainer = check(config)
    config = replace(config, objective_mode=trainer.objective_mode)
    callbacks = Callbacks(**options)
    note = callbacks.display.log
    with environment_of(config, note) if environment is None else contextlib.nullcontext(environment) as environment:
        resources = plan_for(config, environment) if resources is None else resources
        check_room(config, resources, trainer)
        unused(environment, config)
        folder = new_run(config.output, config.name)
        with folder.locked():
            config = with_stored_data(environment, config, trainer)
            write_sweep_yaml(folder, sweep_yaml(config, resources))
            return Tuner(folder, config, resources, trainer, callbacks, environment=environment).run("sweep_started")


def resume(
    path: Path,
    *,
    trials: int | None = None,
    budget_seconds: float | None = None,
    gain_percent: float | None = None,
    address: str | None = None,
    storage: str | None = None,
    **options: Unpack[CallbackOptions],
) -> SweepResult:
    """Resume a run from its journal and checkpoints; `trials` and `budget_seconds` may be raised, and
    `gain_percent` changed.

    A run that lies in a storage is fetched from there first; one that does not may be moved into one.
    """
    fetched_first(path, storage)
    found = read_run(path)
    config, folder = raised(found.config, trials, budget_seconds), found.folder
    config = replace(config, address=address, storage=storage_of(found.config, storage))
    if gain_percent is not None:
        config = replace(config, search=replace(config.search, gain_percent=checked_gain(gain_percent)))
    if config.trials < len(searched(found.records)):
        raise RequestError(f"--trials {config.trials}: {folder.name} has {len(searched(found.records))} already")
    spent = config.budget.exhausted(found.seconds)
    if spent is not None:
        raise RequestError(f"{folder.name}: {spent}; give it more with --budget")
    changed: dict[str, object] = {"trials": config.trials, "budget_seconds": config.budget.seconds}
    if gain_percent is not None:
        search = cast(Mapping[str, object], found.content["search"])
        changed["search"] = {**search, "stop_when_gain_below": config.search.gain_percent}
    return _continued(found, config, changed, Callbacks(**options))


def confirm(
    path: Path,
    *,
    seeds: int | None = None,
    with_rivals: bool = False,
    explain: bool = False,
    budget_seconds: float | None = None,
    address: str | None = None,
    storage: str | None = None,
    **options: Unpack[CallbackOptions],
) -> SweepResult:
    """Judge a run's best over `seeds` fresh seeds in all (None: as many as the answer takes), together with the methods
    that need no sweep where `with_rivals` asks for them, or the sweep did. With `explain` a better finalist is compared
    with itself without each of its changes.

    What the search has left to do is left alone. The budget is this command's own: None is no limit. RequestError where
    there is nothing to confirm or no more seeds would be judged.
    """
    fetched_first(path, storage)
    found = read_run(path)
    config, folder = found.config, found.folder
    answered = found.verdict is not None and found.verdict.is_final and found.verdict.design.stops_early
    wanted = config.confirm_seeds if explain and answered else seeds_to_confirm(folder.name, found.verdict, seeds)
    if config.space.controls:
        raise RequestError(f"{folder.name}: there is nothing to confirm: it holds only controls")
    config = replace(config, confirm_seeds=wanted)
    if confirmation_of(found.records, config.seed, config.most_pairs, judged_params={}) is None:
        raise RequestError(
            f"{folder.name}: there is nothing to confirm: it has no default, or no other config to compare"
        )
    config = replace(
        config,
        rivals=config.rivals or with_rivals,
        explain=config.explain or explain,
        address=address,
        storage=storage_of(config, storage),
        budget=replace(config.budget, seconds=None if budget_seconds is None else found.seconds + budget_seconds),
    )
    changed = {"confirm_seeds": config.confirm_seeds, "rivals": config.rivals, "explain": config.explain}
    return _continued(found, config, changed, Callbacks(**options), searching=False)


def _continued(
    found: Run, config: SweepConfig, changed: Mapping[str, object], callbacks: Callbacks, *, searching: bool = True
) -> SweepResult:
    """One more session of a run; `changed` goes into sweep.yaml."""
    trainer, folder, log = check(config), found.folder, callbacks.display.log
    with environment_of(config, log) as environment, folder.locked():
        config = _moved_in(environment, found, _with_its_data(found, config, trainer, log), trainer)
        resources = _resumed_resources(folder, found, config, environment, changed)
        tuner = Tuner(
            folder, config, resources, trainer, callbacks, found.seconds, searching=searching, environment=environment
        )
        return tuner.run("sweep_resumed")


def storage_of(config: SweepConfig, given: str | None) -> str | None:
    """The storage of a resumed run: the given one, or the one it has."""
    return config.storage if given is None else storage_uri(given)


def _with_its_data(found: Run, config: SweepConfig, trainer: type[Trainer], log: Callable[[str], None]) -> SweepConfig:
    """A resumed run uses the data it began with; how the data has changed since is part of its summary."""
    if config.storage is not None:
        return config  # the storage holds what it learned from
    before = {name: value for name, value in found.config.data_summary.items() if name != DATA_CHANGED}
    stages: list[str] = []

    def progress(done: int, total: int, what: str) -> None:
        if what not in stages:
            stages.append(what)
            log(f"{what} ...")

    data, changed = trainer.reopen(config.data, before, progress=progress)
    return replace(config, data=data, data_summary={**before, **({DATA_CHANGED: changed} if changed else {})})


def _moved_in(environment: Environment, found: Run, config: SweepConfig, trainer: type[Trainer]) -> SweepConfig:
    """A run that is resumed with a storage it did not have brings its checkpoints there, and its data."""
    if environment.stored is None:
        return config
    if not environment.stored.exists:
        environment.stored.put_checkpoints(found.folder)
    return with_stored_data(environment, config, trainer)


def _resumed_resources(
    folder: RunFolder, found: Run, config: SweepConfig, environment: Environment, changed: Mapping[str, object]
) -> Resources:
    """The resources on today's machine; what was changed goes into sweep.yaml."""
    resources = plan_again(environment, found.resources, config)
    if config != found.config or resources != found.resources:
        moved: dict[str, object] = {"data": config.data, "plan": resources.as_dict()}
        moved["data_summary"] = dict(config.data_summary)
        if config.storage is not None:
            moved |= {"storage": config.storage, "data_stored": config.data_stored}
        write_sweep_yaml(folder, {**read_sweep_yaml(folder), **changed, **moved})
    return resources


def seeds_to_confirm(name: str, verdict: Verdict | None, seeds: int | None) -> int | Literal["auto"]:
    """How many pairs a confirmation shall have in all; RequestError where it has them, or more would not be judged."""
    have = 0 if verdict is None else len(verdict.pairs)
    looks = SEQUENTIAL_LOOKS if verdict is None else verdict.looks
    most = looks[-1].seeds
    if have >= most:
        raise RequestError(
            f"{name}: was confirmed over {have} seeds; the last planned look is at {most}, more would not be judged"
        )
    if seeds is None:
        if verdict is None or verdict.design.stops_hopeless:
            if verdict is not None and verdict.is_final:
                raise RequestError(
                    f"{name}: is decided over {verdict.expected_seeds} seeds: {verdict.word}; "
                    f"to run more all the same: --seeds {most}"
                )
            return "auto"
        return next(look.seeds for look in looks if look.seeds > have)
    if not have < seeds <= most:
        raise RequestError(f"--confirm-seeds {seeds}: {have} are done and the last planned look is at {most} seeds")
    return seeds
