"""A data set's health, before a GPU hour is spent on it."""

from __future__ import annotations

import argparse
import json

from xtts_sweep.arguments import add_json, add_val_data
from xtts_sweep.terminal import PreparationProgress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DIR")
    add_val_data(parser)
    parser.add_argument("--deep", action="store_true", help="read every file again instead of trusting sizes and times")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print what is wrong with the data set, and what is right."""
    from xtts.prepare.prepare_data import prepare_data

    with PreparationProgress() as progress:
        prepared = prepare_data(
            options.data, options.val_data, accept_unusable=True, deep=options.deep, progress=progress
        )
    if options.json:
        print(json.dumps(prepared.health.as_dict(), ensure_ascii=False))
    else:
        print("\n".join(prepared.health.lines()))
    return 0
