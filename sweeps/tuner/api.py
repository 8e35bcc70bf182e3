"""Run a sweep, or resume one: what is asked for is checked here, before anything is written or started."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from sweeps.backend.environment import Environment, environment_of, fetched_first, plan_again, plan_at, with_stored_data
from sweeps.common.errors import RequestError
from sweeps.confirm.confirmation import confirmation_of
from sweeps.confirm.decision import PLANNED_LOOKS
from sweeps.confirm.verdict import Verdict
from sweeps.run.config import SweepConfig, raised, sweep_yaml
from sweeps.run.folder import RunFolder, new_run, read_sweep_yaml, unused_folder, write_sweep_yaml
from sweeps.run.resources import Resources
from sweeps.run.run import Hook, Run, SweepResult, read_run, searched
from sweeps.space.space import check_limits
from sweeps.storage.object_store import storage_uri
from sweeps.trainer import Trainer, load_trainer, unknown_params
from sweeps.tuner.callbacks import CallbackOptions, Callbacks
from sweeps.tuner.output_files import rewrite_files
from sweeps.tuner.tuner import Session

LARGEST_SEED = 2**31 - 1

__all__ = [
    "Hook",
    "Run",
    "SweepResult",
    "check",
    "confirm",
    "environment_of",
    "plan_at",
    "plan_for",
    "read_run",
    "resume",
    "rewrite_files",
    "run",
]


def plan_for(request: SweepConfig) -> Resources:
    """How the sweep would use this machine."""
    return plan_at(Environment(), request)


def check(request: SweepConfig) -> type[Trainer]:
    """The trainer's class, after everything that can be wrong with a request was looked at."""
    check_limits(
        request.space, {**request.space.fixed, **request.set_params}, request.limits, allow_unsafe=request.allow_unsafe
    )
    searched = [name for name in request.set_params if name in request.columns]
    if searched:
        raise RequestError(f"--set {searched[0]}: space {request.space.name} searches it already")
    most = PLANNED_LOOKS[-1].seeds
    if not 0 <= request.confirm_seeds <= most:
        raise RequestError(
            f"--confirm-seeds {request.confirm_seeds}: 0 to {most}; the last planned look is at {most} seeds"
        )
    if not 0 <= request.seed <= LARGEST_SEED:
        raise RequestError(f"--seed {request.seed}: 0 to {LARGEST_SEED}")
    trainer = load_trainer(request.trainer)
    if request.rivals and not trainer.rivals():
        raise RequestError(f"--rivals: trainer {request.trainer} names no methods that need no sweep")
    known = trainer.default_params()
    if known is not None:
        where = dict.fromkeys(request.space.hyperparameters, f"space {request.space.name}")
        where |= dict.fromkeys(request.space.fixed, f"space {request.space.name}, set")
        where |= dict.fromkeys(request.set_params, "--set")
        problems = unknown_params(where, known)
        if problems:
            raise RequestError("; ".join(problems))
    return trainer


def unused(place: Environment, request: SweepConfig) -> RunFolder:
    """The folder that the run would get; RequestError where it, or the storage, holds a run of that name."""
    if place.stored is not None and place.stored.exists:
        raise RequestError(
            f"--name {request.name}: {place.stored.storage.uri} holds a run of that name already; "
            "resume it, or choose another name"
        )
    return unused_folder(request.output, request.name)


def run(
    request: SweepConfig,
    *,
    place: Environment | None = None,
    plan: Resources | None = None,
    **outside: Unpack[CallbackOptions],
) -> SweepResult:
    """Run a new sweep at `place`, or where the request says, as planned or as `plan_at` plans it. RequestError before
    anything is written; SweepFailed where no result could be produced."""
    trainer = check(request)
    request = replace(request, objective_mode=trainer.objective_mode)
    surroundings = Callbacks(**outside)
    note = surroundings.display.note
    with environment_of(request, note) if place is None else contextlib.nullcontext(place) as place:
        plan = plan_at(place, request) if plan is None else plan
        unused(place, request)
        folder = new_run(request.output, request.name)
        with folder.locked():
            request = with_stored_data(place, request, trainer)
            write_sweep_yaml(folder, sweep_yaml(request, plan))
            return Session(folder, request, plan, trainer, surroundings, place=place).run("sweep_started")


def resume(
    path: Path,
    *,
    trials: int | None = None,
    budget_seconds: float | None = None,
    address: str | None = None,
    storage: str | None = None,
    **outside: Unpack[CallbackOptions],
) -> SweepResult:
    """Go on with a run from its journal and checkpoints; `trials` and `budget_seconds` may be raised.

    A run that lies in a storage is fetched from there first; one that does not may be moved into one.
    """
    fetched_first(path, storage)
    found = read_run(path)
    request, folder = raised(found.request, trials, budget_seconds), found.folder
    request = replace(request, address=address, storage=storage_of(found.request, storage))
    if request.trials < len(searched(found.records)):
        raise RequestError(f"--trials {request.trials}: {folder.name} has {len(searched(found.records))} already")
    spent = request.budget.exhausted(trials=0, seconds=found.seconds)
    if spent is not None:
        raise RequestError(f"{folder.name}: {spent}; give it more with --budget")
    trainer = check(request)
    surroundings = Callbacks(**outside)
    with environment_of(request, surroundings.display.note) as place, folder.locked():
        request = _moved_in(place, found, request, trainer)
        changed = {"trials": request.trials, "budget_seconds": request.budget.seconds}
        plan = _go_on_with(folder, found, request, place, changed)
        return Session(folder, request, plan, trainer, surroundings, found.seconds, place=place).run("sweep_resumed")


def confirm(
    path: Path,
    *,
    seeds: int | None = None,
    with_rivals: bool = False,
    budget_seconds: float | None = None,
    address: str | None = None,
    storage: str | None = None,
    **outside: Unpack[CallbackOptions],
) -> SweepResult:
    """Judge a run's best over `seeds` fresh seeds in all (None: as many as the next planned look needs), and beside it
    the methods that need no sweep where `with_rivals` asks for them, or the sweep did.

    What the search has left to do is left alone. The budget is this command's own: None is no limit. RequestError where
    there is nothing to confirm or no more seeds would be judged.
    """
    fetched_first(path, storage)
    found = read_run(path)
    request, folder = found.request, found.folder
    wanted = seeds_to_confirm(folder.name, found.verdict, seeds)
    if request.space.controls:
        raise RequestError(f"{folder.name}: there is nothing to confirm: it holds only controls")
    if confirmation_of(found.records, request.seed, wanted, judged_params={}) is None:
        raise RequestError(
            f"{folder.name}: there is nothing to confirm: it has no default, or no other config to compare"
        )
    request = replace(
        request,
        confirm_seeds=max(wanted, request.confirm_seeds),
        rivals=request.rivals or with_rivals,
        address=address,
        storage=storage_of(request, storage),
    )
    trainer = check(request)
    surroundings = Callbacks(**outside)
    with environment_of(request, surroundings.display.note) as place, folder.locked():
        request = _moved_in(place, found, request, trainer)
        changed = {"confirm_seeds": request.confirm_seeds, "rivals": request.rivals}
        plan = _go_on_with(folder, found, request, place, changed)
        limit = None if budget_seconds is None else found.seconds + budget_seconds
        timed = replace(request, budget=replace(request.budget, seconds=limit))
        session = Session(folder, timed, plan, trainer, surroundings, found.seconds, searching=False, place=place)
        return session.run("sweep_resumed")


def storage_of(request: SweepConfig, given: str | None) -> str | None:
    """The storage that a run goes on with: the given one, or the one it has."""
    return request.storage if given is None else storage_uri(given)


def _moved_in(place: Environment, found: Run, request: SweepConfig, trainer: type[Trainer]) -> SweepConfig:
    """A run that goes on with a storage it did not have brings its checkpoints there, and its data."""
    if place.stored is None:
        return request
    if not place.stored.exists:
        place.stored.put_checkpoints(found.folder)
    return with_stored_data(place, request, trainer)


def _go_on_with(
    folder: RunFolder, found: Run, request: SweepConfig, place: Environment, changed: Mapping[str, object]
) -> Resources:
    """Today's plan; what was changed goes into sweep.yaml."""
    plan = plan_again(place, found.plan, request)
    if request != found.request or plan != found.plan:
        moved: dict[str, object] = {"data": request.data, "plan": plan.as_dict()}
        if request.storage is not None:
            moved |= {"storage": request.storage, "data_stored": request.data_stored}
        write_sweep_yaml(folder, {**read_sweep_yaml(folder), **changed, **moved})
    return plan


def seeds_to_confirm(name: str, verdict: Verdict | None, seeds: int | None) -> int:
    """How many pairs a confirmation shall have in all; RequestError where it has them, or more would not be judged."""
    have = 0 if verdict is None else len(verdict.pairs)
    most = PLANNED_LOOKS[-1].seeds
    if have >= most:
        raise RequestError(
            f"{name}: was confirmed over {have} seeds; the last planned look is at {most}, more would not be judged"
        )
    if seeds is None:
        return next(look.seeds for look in PLANNED_LOOKS if look.seeds > have)
    if not have < seeds <= most:
        raise RequestError(f"--confirm-seeds {seeds}: {have} are done and the last planned look is at {most} seeds")
    return seeds
