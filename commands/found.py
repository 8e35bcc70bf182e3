"""The run that a command is about."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeps.run_folder import RunFolder
    from sweeps.run_record import Run


def found_folder(options: argparse.Namespace, name: str | None) -> RunFolder:
    """The run's folder in --output, or fetched from --storage; RequestError where there is none."""
    from sweeps.run_folder import find_run

    if options.storage is None:
        return find_run(Path(options.output), name)
    from sweeps.stored_run import fetched

    return fetched(options.storage, name, Path(options.output))


def found_run(options: argparse.Namespace) -> Run:
    """The same, with its records."""
    from sweeps.run_record import read_run

    return read_run(found_folder(options, options.name).path)
