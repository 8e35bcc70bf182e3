"""A new sweep."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from commands.preparation import prepare
from commands.session import close, recording_for, surroundings
from commands.settings import settings
from commands.terminal import printer

if TYPE_CHECKING:
    from sweeps.plan import Plan
    from sweeps.request import SweepRequest


def run(options: argparse.Namespace) -> int:
    """Check the request, join the cluster if one is given, prepare the speech, search, close."""
    from sweeps import sweep
    from sweeps.throughput import measured_plan
    from xtts.cache_folder import cache_folder

    request = _request(options)
    trainer = sweep.check(request)
    say = printer(options.json)
    with sweep.place_of(request, say) as place:
        plan = sweep.plan_at(place, request)
        folder = sweep.unused(place, request)
        recording = recording_for(options)
        prepared = prepare(trainer, options)
        request = replace(request, data=prepared.data, data_summary=prepared.summary)
        plan = measured_plan(plan, request, trainer, cache_folder() / "plans", start=not options.dry_run)
        for line in [*prepared.lines, f"plan         {plan}", f"run          {folder.path}"]:
            say(line)
        if options.dry_run:
            from sweeps.disk_use import disk_estimate, state_bytes

            say(f"disk         {disk_estimate(request, plan, state_bytes(trainer, request.shared_params))}")
            return _dry_run(options, request, plan, say)
        result = sweep.run(request, place=place, plan=plan, **surroundings(options, recording))
    return close(result, options.json, options.lang)


def _request(options: argparse.Namespace) -> SweepRequest:
    """What was asked for, checked as far as that goes without data."""
    from sweeps.budget import Budget, parse_duration
    from sweeps.request import SweepRequest
    from sweeps.space import load_space
    from sweeps.storage import storage_uri
    from sweeps.trainer import known_params, load_trainer

    space = load_space(options.space)
    trainer = load_trainer(options.trainer)
    fixed = dict(known_params(trainer) or {})
    given = settings(options.set)
    if "model" in fixed:
        given.setdefault("model", options.model)
    check_settings = getattr(trainer, "check_params", None)
    if check_settings is not None:
        check_settings({**fixed, **{name: value for name, value in given.items() if name in fixed}})
    return SweepRequest(
        name=options.name or f"{space.name}-{time.strftime('%Y%m%d-%H%M%S')}",
        output=Path(options.output),
        space=space,
        trainer=options.trainer,
        data=options.data or "",
        budget=Budget(options.trials, options.epochs, parse_duration(options.budget) if options.budget else None),
        fixed={name: value for name, value in fixed.items() if name not in space.knobs},
        set_params=given,
        seed=options.seed,
        concurrent=options.concurrent,
        cpus_per_trial=options.cpus_per_trial,
        gpus_per_trial=options.gpus_per_trial,
        allow_unsafe=options.allow_unsafe,
        address=options.address,
        storage=None if options.storage is None else storage_uri(options.storage),
        confirm_seeds=0 if space.controls else options.confirm_seeds,
        rivals=options.rivals,
        command=shlex.join(["python", "run_sweep.py", *options.given]),
    )


def _dry_run(options: argparse.Namespace, request: SweepRequest, plan: Plan, say: Callable[[str], None]) -> int:
    say(f"trials       {request.trials} of at most {request.budget.epochs} epochs; first the default config")
    say("dry run: nothing was started")
    if options.json:
        print(json.dumps({"trials": request.trials, "plan": plan.as_dict(), "data": request.data_summary}))
    return 0
