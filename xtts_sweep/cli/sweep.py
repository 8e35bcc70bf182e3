"""Run a new sweep."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sweeps.common.program import program
from xtts.model.model_config import DEFAULT_MODEL, PRESETS
from xtts_sweep.arguments import (
    add_address,
    add_data,
    add_json,
    add_lang,
    add_output,
    add_search,
    add_storage,
    add_trainer,
    add_wandb,
)
from xtts_sweep.closing import callbacks, close, loggers_for
from xtts_sweep.overrides import settings
from xtts_sweep.preparation import prepare
from xtts_sweep.run_lookup import remembered
from xtts_sweep.terminal import printer

if TYPE_CHECKING:
    from sweeps.run.config import SweepConfig
    from sweeps.run.resources import Resources
    from sweeps.search.options import SearchOptions
    from sweeps.space.space import Space


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--space", metavar="NAME|FILE", help="search space (default: safe_weights, or what the trainer's spec searches)"
    )
    add_data(parser)
    add("--trials", type=int, default=16, help="how many configs (default: 16)")
    add("--epochs", type=int, default=9, help="the full length of a trial (default: 9)")
    add("--model", help=f"{', '.join(PRESETS)} (default: {DEFAULT_MODEL})")
    help_text = "pairs of runs over fresh seeds, best against default: auto (until there is an answer) or 0 to 10"
    add("--confirm-seeds", type=_confirm_seeds, default="auto", metavar="auto|N", help=f"{help_text} (default: auto)")
    help_text = "per cent; a smaller gain counts as no difference (default: 1)"
    add("--smallest-gain", type=float, default=1.0, metavar="PERCENT", help=help_text)
    add("--explain", action="store_true", help="where the best is better, find which of its changes carries the gain")
    add("--rivals", action="store_true", help="run the methods that need no sweep too, and compare them with the best")
    add_search(parser)
    add("--seed", type=int, default=1, help="of the search, and of every trial in it (default: 1)")
    add("--budget", metavar="TIME", help="wall-clock time such as 2h or 45m; the sweep then ends with its best so far")
    add("--gpus-per-trial", type=float, metavar="F", help="share of a GPU each trial gets (default: one)")
    add("--cpus-per-trial", type=float, metavar="F", help="cores each trial gets")
    add("--concurrent", type=int, metavar="N", help="trials side by side (default: planned from the machine)")
    add("--name", help="the run's name (default: space and time)")
    add_output(parser)
    add_address(parser)
    add_storage(parser)
    add_wandb(parser)
    add_lang(parser)
    add_trainer(parser)
    add("--allow-unsafe", action="store_true", help="leave the safe limits; such trials become controls")
    add("--dry-run", action="store_true", help="check everything, print the plan and stop")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Check the request, join the cluster if one is given, prepare the speech, search, close."""
    from sweeps.backend.throughput import measured_resources
    from sweeps.run.resources import hidden_gpus
    from sweeps.tuner import api as sweep
    from xtts.data.cache_folder import cache_folder

    config = _config(options)
    trainer = sweep.check(config)
    say = printer(options.json)
    with sweep.environment_of(config, say) as place:
        resources = sweep.plan_at(place, config)
        folder = sweep.unused(place, config)
        sweep.check_room(config, resources, trainer)
        loggers = loggers_for(options)
        prepared = prepare(trainer, options)
        config = replace(config, data=prepared.data, data_summary=prepared.summary)
        resources = measured_resources(resources, config, trainer, cache_folder() / "plans", start=not options.dry_run)
        found = trainer.check_before_sweep(
            prepared.data,
            config.seed,
            cache_folder() / "preflight",
            say,
            threads=resources.threads,
            gpus=("0",) if resources.gpus else (),
            start=not options.dry_run and config.address is None,
            fixed=config.set_params,
        )
        config = replace(config, data_summary={**prepared.summary, **found})
        for line in [*prepared.lines(), f"plan         {resources}", f"run          {folder.path}"]:
            say(line)
        if config.space.ignored:
            say(f"space        not read, because it is W&B's own: {', '.join(config.space.ignored)}")
        hidden = hidden_gpus(resources.gpus) if place.cluster is None else ""
        if hidden:
            say(hidden)
        if options.dry_run:
            from sweeps.storage.disk_use import disk_estimate

            say(f"disk         {disk_estimate(config, resources, trainer.checkpoint_bytes(config.shared_params))}")
            return _dry_run(options, config, resources, say)
        result = sweep.run(config, place=place, resources=resources, **callbacks(options, loggers))
    return close(result, options.json, options.lang)


def _confirm_seeds(given: str) -> int | Literal["auto"]:
    if given == "auto":
        return "auto"
    try:
        return int(given)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{given!r}: expected auto or a whole number") from None


def _config(options: argparse.Namespace) -> SweepConfig:
    """What was asked for, checked as far as that goes without data."""
    from sweeps.common.budget import Budget, parse_duration
    from sweeps.common.errors import RequestError
    from sweeps.run.config import SweepConfig
    from sweeps.space.limits import limits_from_mapping, load_limits
    from sweeps.space.space import load_space, space_from_mapping
    from sweeps.storage.object_store import storage_uri
    from sweeps.trainer import load_trainer, pinned

    loadable, given = pinned(options.trainer, settings(options.set))
    trainer = load_trainer(loadable)
    own_space, own_limits = trainer.default_space(without=list(given)), trainer.own_limits()
    if options.space is None and own_space is not None:
        space = space_from_mapping(own_space, options.trainer)
    else:
        space = load_space(options.space or "safe_weights")
    fixed = dict(trainer.default_params() or {})
    if options.model is not None and "model" in given:
        raise RequestError(f"--model {options.model}: --set model={given['model']} says it too; give one of them")
    if options.model is not None and "model" in space.hyperparameters:
        raise RequestError(f"--model {options.model}: space {space.name} searches the model already; leave it out")
    if options.model is not None and "model" in fixed:
        given["model"] = options.model
    trainer.check_params({**fixed, **{name: value for name, value in given.items() if name in fixed}})
    return SweepConfig(
        name=options.name or f"{space.name}-{time.strftime('%Y%m%d-%H%M%S')}",
        output=Path(options.output),
        space=space,
        trainer=options.trainer,
        trainer_spec=loadable if loadable != options.trainer else None,
        limits=load_limits() if own_limits is None else limits_from_mapping(own_limits, options.trainer),
        data=options.data or "",
        budget=Budget(options.trials, options.epochs, parse_duration(options.budget) if options.budget else None),
        fixed={name: value for name, value in fixed.items() if name not in space.hyperparameters},
        set_params=given,
        seed=options.seed,
        concurrent=options.concurrent,
        cpus_per_trial=options.cpus_per_trial,
        gpus_per_trial=options.gpus_per_trial,
        allow_unsafe=options.allow_unsafe,
        address=options.address,
        storage=None if options.storage is None else storage_uri(options.storage),
        confirm_seeds=0 if space.controls else options.confirm_seeds,
        smallest_gain_percent=options.smallest_gain,
        rivals=options.rivals,
        explain=options.explain,
        command=f"{program()} {shlex.join(options.given)}",
        search=_search(options, space),
    )


def _search(options: argparse.Namespace, space: Space) -> SearchOptions:
    """What is asked of the search; the trials of --from are read here, and go into the run's sweep.yaml."""
    from sweeps.search.options import GAIN_PERCENT, search_options

    gain = GAIN_PERCENT if options.stop_when_gain_below is None else options.stop_when_gain_below
    search = search_options(space, gain_percent=gain, require=options.require, prior=options.prior)
    return replace(search, memory=remembered(options, space)) if options.from_runs else search


def _dry_run(options: argparse.Namespace, config: SweepConfig, resources: Resources, say: Callable[[str], None]) -> int:
    say(f"trials       {config.trials} of at most {config.budget.epochs} epochs; first the default config")
    say("dry run: nothing was started")
    if options.json:
        print(json.dumps({"trials": config.trials, "plan": resources.as_dict(), "data": config.data_summary}))
    return 0
