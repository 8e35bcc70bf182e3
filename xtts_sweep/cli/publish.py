"""Upload a run to W&B."""

from __future__ import annotations

import argparse

from commands.found import found_folder


def run(options: argparse.Namespace) -> int:
    """Upload, and say where it is."""
    from wiring import publish_run

    folder = found_folder(options, options.name)
    print("\n".join(publish_run(folder, options.project, options.entity, print)))
    return 0
