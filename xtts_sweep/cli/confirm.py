"""Judge the best of a search over fresh seeds."""

from __future__ import annotations

import argparse

from commands.found import folder_to_go_on_with
from commands.session import close, recording_for, surroundings


def run(options: argparse.Namespace) -> int:
    """Train what the next look needs, and close with the verdict."""
    from sweeps.budget import parse_duration
    from sweeps.sweep import confirm

    result = confirm(
        folder_to_go_on_with(options).path,
        seeds=options.seeds,
        with_rivals=options.rivals,
        budget_seconds=parse_duration(options.budget) if options.budget else None,
        address=options.address,
        storage=options.storage,
        **surroundings(options, recording_for(options)),
    )
    return close(result, options.json, options.lang)
