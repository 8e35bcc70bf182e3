"""Upload a run to W&B."""

from __future__ import annotations

import argparse
from pathlib import Path


def run(options: argparse.Namespace) -> int:
    """Upload, and say where it is."""
    from sweeps.run_folder import find_run
    from wiring import publish_run

    folder = find_run(Path(options.output), options.name)
    print("\n".join(publish_run(folder, options.project, options.entity, print)))
    return 0
