"""Write report.html, trials.csv and optuna.db again from the records."""

from __future__ import annotations

import argparse
from functools import partial

from xtts_sweep.arguments import add_lang, add_run
from xtts_sweep.run_lookup import found_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    add_lang(parser)


def run(options: argparse.Namespace) -> int:
    """Write them, and say where the page is."""
    from sweeps.tuner.output_files import rewrite_files
    from xtts_sweep.integration import write_page

    run = found_run(options)
    rewrite_files(run, report=partial(write_page, lang=options.lang))
    print(run.folder.report)
    return 0
