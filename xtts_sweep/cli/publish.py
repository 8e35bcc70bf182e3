"""Upload an offline sweep to W&B, as a W&B sweep with a workspace."""

from __future__ import annotations

import argparse

from xtts_sweep.arguments import add_run
from xtts_sweep.run_lookup import found_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--project", help="default: WANDB_PROJECT, W&B's settings, or xtts-sweep")
    parser.add_argument("--entity", help="the W&B team or user (default: WANDB_ENTITY, W&B's settings, or your own)")


def run(options: argparse.Namespace) -> int:
    """Upload, and say where it is."""
    from xtts_sweep.integration import publish_run

    folder = found_folder(options.name, options.output, options.storage)
    print("\n".join(publish_run(folder, options.project, options.entity, print)))
    return 0
