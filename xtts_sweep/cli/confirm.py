"""Test the search's best config against the default over fresh seeds."""

from __future__ import annotations

import argparse

from xtts_sweep.arguments import add_run, add_session
from xtts_sweep.closing import continue_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--seeds", type=int, help="fresh seeds in all, 3 to 10 (default: until there is an answer)")
    parser.add_argument("--rivals", action="store_true", help="compare with the methods that need no sweep, too")
    parser.add_argument(
        "--explain",
        action="store_true",
        help="find which change carries a gain, and what another learning rate would bring",
    )
    parser.add_argument("--budget", metavar="TIME", help="wall-clock budget of this command")
    add_session(parser)


def run(options: argparse.Namespace) -> int:
    """Train pairs until there is an answer, and close with the verdict."""
    from xtts_sweep.api import confirm

    return continue_run(confirm, options, "seeds", "rivals", "explain", "budget")
