"""Make a run's files again from its records."""

from __future__ import annotations

import argparse

from commands.found import found_run
from commands.session import page


def run(options: argparse.Namespace) -> int:
    """Write them, and say where the page is."""
    from sweeps.run_files import rewrite_files

    run = found_run(options)
    rewrite_files(run, report=page(options.lang))
    print(run.folder.report)
    return 0
