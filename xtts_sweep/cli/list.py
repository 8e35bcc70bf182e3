"""The runs in a folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def run(options: argparse.Namespace) -> int:
    """A line a run."""
    from sweeps.closing import run_line, run_row
    from sweeps.run_folder import runs
    from sweeps.run_record import read_run

    found = [read_run(folder.path) for folder in runs(Path(options.output))]
    if options.json:
        print(json.dumps([run_row(run) for run in found], ensure_ascii=False))
    else:
        print("\n".join(run_line(run) for run in found) or f"no runs in {options.output}")
    return 0
