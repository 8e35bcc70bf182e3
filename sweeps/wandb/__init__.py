"""W&B beside a sweep: runs of all trials in one process of its own, and offline runs published as a real W&B sweep.

`wandb` is imported in that process alone: never at --help, never with --wandb off, never in the sweep's own process.
"""

from sweeps.wandb.environment import Mode, choose_mode, logged_in, project_and_entity
from sweeps.wandb.publishing import publish
from sweeps.wandb.logger import RunRecording, start_recording
from sweeps.wandb.media import Sample

__all__ = [
    "Mode",
    "RunRecording",
    "Sample",
    "choose_mode",
    "logged_in",
    "project_and_entity",
    "publish",
    "start_recording",
]
