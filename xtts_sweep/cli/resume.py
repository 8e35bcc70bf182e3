"""Resume an interrupted sweep, or give it more trials or time."""

from __future__ import annotations

import argparse

from xtts_sweep.arguments import add_address, add_gain, add_json, add_lang, add_run, add_wandb
from xtts_sweep.closing import callbacks, close, loggers_for
from xtts_sweep.run_lookup import folder_to_go_on_with


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--trials", type=int, help="how many configs in all")
    parser.add_argument("--budget", metavar="TIME", help="wall-clock budget of the whole sweep")
    add_gain(parser)
    add_wandb(parser)
    add_address(parser)
    add_lang(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Go on from the journal and the checkpoints."""
    from sweeps.common.budget import parse_duration
    from sweeps.tuner.api import resume

    folder = folder_to_go_on_with(options)
    budget = parse_duration(options.budget) if options.budget else None
    result = resume(
        folder.path,
        trials=options.trials,
        budget_seconds=budget,
        gain_percent=options.stop_when_gain_below,
        address=options.address,
        storage=options.storage,
        **callbacks(options, loggers_for(options)),
    )
    return close(result, options.json, options.lang)
