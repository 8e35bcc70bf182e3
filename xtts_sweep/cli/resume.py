"""Resume an interrupted sweep, or give it more trials or time."""

from __future__ import annotations

import argparse

from xtts_sweep.arguments import add_gain, add_run, add_session
from xtts_sweep.closing import continue_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--trials", type=int, help="how many configs in all")
    parser.add_argument("--budget", metavar="TIME", help="wall-clock budget of the whole sweep")
    add_gain(parser)
    add_session(parser)


def run(options: argparse.Namespace) -> int:
    """Resume from the journal and the checkpoints."""
    from xtts_sweep.api import resume

    return continue_run(resume, options, "trials", "budget", "stop_when_gain_below")
