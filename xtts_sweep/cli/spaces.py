"""List the search spaces."""

from __future__ import annotations

import argparse
import json

from xtts_sweep.arguments import add_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """A line a space."""
    from sweeps.space.space_file import load_space, space_names

    spaces = [load_space(name) for name in space_names()]
    if options.json:
        print(json.dumps([dict(space.source) for space in spaces], ensure_ascii=False))
        return 0
    for space in spaces:
        print(f"{space.name:<20} {space.description}")
    return 0
