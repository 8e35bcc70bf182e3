"""The run that a command is about."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeps.run_record import Run


def found_run(options: argparse.Namespace) -> Run:
    from sweeps.run_folder import find_run
    from sweeps.run_record import read_run

    return read_run(find_run(Path(options.output), options.name).path)
