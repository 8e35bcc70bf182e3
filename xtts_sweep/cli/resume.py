"""Go on with a sweep."""

from __future__ import annotations

import argparse

from commands.found import folder_to_go_on_with
from commands.session import close, recording_for, surroundings


def run(options: argparse.Namespace) -> int:
    """Go on from the journal and the checkpoints."""
    from sweeps.budget import parse_duration
    from sweeps.sweep import resume

    folder = folder_to_go_on_with(options)
    budget = parse_duration(options.budget) if options.budget else None
    result = resume(
        folder.path,
        trials=options.trials,
        budget_seconds=budget,
        address=options.address,
        storage=options.storage,
        **surroundings(options, recording_for(options)),
    )
    return close(result, options.json, options.lang)
