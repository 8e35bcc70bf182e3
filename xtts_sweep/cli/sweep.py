"""Run a new sweep."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable
from dataclasses import fields
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
from xtts_sweep.closing import callbacks, close
from xtts_sweep.terminal import printer

if TYPE_CHECKING:
    from xtts_sweep.sweep_plan import SweepOptions, SweepPlan


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
    add(
        "--explain",
        action="store_true",
        help="find which change carries a gain, and what another learning rate would bring",
    )
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
    from xtts_sweep.sweep_plan import planned

    say = printer(options.json)
    with planned(asked_for(options), say, start=not options.dry_run) as plan:
        for line in plan.lines:
            say(line)
        if options.dry_run:
            return _dry_run(options, plan, say)
        result = plan.run(callbacks(options))
    return close(result, options.json, options.lang)


def asked_for(options: argparse.Namespace) -> SweepOptions:
    """The command's options as the Python API takes them."""
    from xtts_sweep.sweep_plan import SweepOptions

    names = {one.name for one in fields(SweepOptions)} - {"command"}
    given = {name: value for name, value in vars(options).items() if name in names}
    return SweepOptions(**given, command=f"{program()} {shlex.join(options.given)}")


def _confirm_seeds(given: str) -> int | Literal["auto"]:
    if given == "auto":
        return "auto"
    try:
        return int(given)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{given!r}: expected auto or a whole number") from None


def _dry_run(options: argparse.Namespace, plan: SweepPlan, say: Callable[[str], None]) -> int:
    from sweeps.storage.disk_use import disk_estimate
    from sweeps.trainer import load_trainer

    config = plan.config
    state_bytes = load_trainer(config.loadable_trainer).checkpoint_bytes(config.shared_params)
    say(f"disk         {disk_estimate(config, plan.resources, state_bytes)}")
    say(f"trials       {config.trials} of at most {config.budget.epochs} epochs; first the default config")
    say("dry run: nothing was started")
    if options.json:
        print(json.dumps({"trials": config.trials, "plan": plan.resources.as_dict(), "data": config.data_summary}))
    return 0
