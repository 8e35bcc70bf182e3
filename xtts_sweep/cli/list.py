"""List the runs in --output."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from xtts_sweep.arguments import add_json, add_output
from xtts_sweep.terminal import warn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_output(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """A line a run."""
    from sweeps.run.folder import runs
    from sweeps.run.run import read_run
    from sweeps.run.summary import run_line, run_row

    found = [read_run(folder.path) for folder in runs(Path(options.output), warn)]
    if options.json:
        print(json.dumps([run_row(run) for run in found], ensure_ascii=False))
    else:
        print("\n".join(run_line(run) for run in found) or f"no runs in {options.output}")
    return 0
