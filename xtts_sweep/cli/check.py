"""The health of a data set."""

from __future__ import annotations

import argparse
import json

from commands.terminal import PreparationProgress


def run(options: argparse.Namespace) -> int:
    """Print what is wrong with the data set, and what is right."""
    from xtts.preparation import prepare_data

    with PreparationProgress() as progress:
        prepared = prepare_data(
            options.data, options.val_data, accept_unusable=True, deep=options.deep, progress=progress
        )
    if options.json:
        print(json.dumps(prepared.health.as_dict(), ensure_ascii=False))
    else:
        print("\n".join(prepared.health.lines()))
    return 0
