"""The speech of a command, made ready for all that trains on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xtts_sweep.terminal import PreparationProgress

if TYPE_CHECKING:
    from sweeps.trainer import Trainer


def prepare(trainer: type[Trainer], options: Any) -> Any:
    """What the trainer makes of --data and --val-data: data (a handle), summary and lines()."""
    with PreparationProgress() as progress:
        # Only what was asked for: a user's own trainer need not know these.
        reading = {
            name: value
            for name, value in (("columns", options.columns), ("allow_outside", options.allow_outside))
            if value
        }
        return trainer.prepare(
            options.data, options.val_data, accept_unusable=options.accept_unusable, progress=progress, **reading
        )
