"""Resume an interrupted sweep, or give it more trials or time."""

from __future__ import annotations

import argparse

from xtts_sweep.arguments import add_gain, add_run, add_session
from xtts_sweep.closing import callbacks, close


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--trials", type=int, help="how many configs in all")
    parser.add_argument("--budget", metavar="TIME", help="wall-clock budget of the whole sweep")
    add_gain(parser)
    add_session(parser)


def run(options: argparse.Namespace) -> int:
    """Resume from the journal and the checkpoints."""
    from xtts_sweep.api import resume

    result = resume(
        options.name,
        output=options.output,
        trials=options.trials,
        budget=options.budget,
        stop_when_gain_below=options.stop_when_gain_below,
        address=options.address,
        storage=options.storage,
        callbacks=callbacks(options),
    )
    return close(result, options.json, options.lang)
