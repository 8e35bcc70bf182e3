"""W&B's record of a run on speech: the ratios that act in each trial's config, and what the models say."""

from __future__ import annotations

import os
from collections.abc import Callable

from sweeps.run.folder import RunFolder
from sweeps.wandb import Mode, WandbLogger, project_and_entity, publish
from xtts_sweep.integration.samples import sounds

WANDB_RATIOS = (
    ("rho", "kl_loss_weight", "mel_loss_weight"),
    ("clip_over_mel", "gradient_clip_norm", "mel_loss_weight"),
)
PROJECT = "xtts-sweep"


def wandb_logger(mode: Mode) -> WandbLogger:
    """Records a run in W&B, with what its best model and its default say."""
    project, entity = project_and_entity(PROJECT, os.environ)
    return WandbLogger(mode, project=project, entity=entity, ratios=WANDB_RATIOS, samples=sounds)


def publish_run(folder: RunFolder, project: str | None, entity: str | None, log: Callable[[str], None]) -> list[str]:
    """Upload a run as a W&B sweep, with what its models say where it was not recorded before; lines for people."""
    own_project, own_entity = project_and_entity(PROJECT, os.environ)
    project, entity = project or own_project, entity or own_entity
    return publish(folder.path, project=project, entity=entity, ratios=WANDB_RATIOS, samples=sounds, log=log)
