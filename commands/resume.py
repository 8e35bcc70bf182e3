"""Go on with a sweep."""

from __future__ import annotations

import argparse
from pathlib import Path

from commands.session import close, recording_for, surroundings


def run(options: argparse.Namespace) -> int:
    """Go on from the journal and the checkpoints."""
    from sweeps.budget import parse_duration
    from sweeps.run_folder import find_run
    from sweeps.sweep import resume

    folder = find_run(Path(options.output), options.name)
    budget = parse_duration(options.budget) if options.budget else None
    result = resume(
        folder.path,
        trials=options.trials,
        budget_seconds=budget,
        **surroundings(options, recording_for(options)),
    )
    return close(result, options.json, options.lang)
