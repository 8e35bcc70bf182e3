"""W&B for a sweep: one separate process logs the runs of all trials; offline runs can be published as a W&B sweep.

`wandb` is imported in that process alone: never at --help, never with --wandb off, never in the sweep's own process.
"""

from sweeps.wandb.environment import Mode, choose_mode, logged_in, project_and_entity
from sweeps.wandb.logger import WandbLogger
from sweeps.wandb.media import Sample
from sweeps.wandb.publishing import publish

__all__ = [
    "Mode",
    "Sample",
    "WandbLogger",
    "choose_mode",
    "logged_in",
    "project_and_entity",
    "publish",
]
