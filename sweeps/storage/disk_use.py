"""How much disk a sweep may need at most: checkpoints by the rule that keeps them, records by what they have cost."""

from __future__ import annotations

from dataclasses import dataclass

from sweeps.confirm.plan import CANDIDATES, SELECTION_SEEDS
from sweeps.run.config import SweepConfig
from sweeps.run.resources import Resources
from sweeps.storage.retention import KEPT

WHILE_RUNNING = 3  # a trial's last and best checkpoint, and the one that is being written
ALSO_KEPT = 4  # the default, the first run of each config that is judged, and best/
REPORT_BYTES = 4_000  # of an epoch: in the journal, the page, optuna.db and W&B's files
TRIAL_BYTES = 60_000  # of a trial: Ray's folder, W&B's run
REPLACED = 2  # a file that is made again exists next to the old one for a moment


@dataclass(frozen=True)
class DiskUse:
    """Bytes at most; `checkpoints` is None where the trainer does not say how large its state is."""

    checkpoints: int | None
    records: int

    @property
    def total(self) -> int:
        """All of it."""
        return (self.checkpoints or 0) + self.records

    def __str__(self) -> str:
        if self.checkpoints is None:
            return f"{_size(self.records)} of records at most, and checkpoints of a size that the trainer does not say"
        return (
            f"{_size(self.total)} at most: {_size(self.checkpoints)} of checkpoints, {_size(self.records)} of records"
        )


def disk_estimate(config: SweepConfig, resources: Resources, state_bytes: int | None) -> DiskUse:
    """The most that the sweep's folder may hold at any moment, from the size of one checkpoint."""
    confirming = CANDIDATES * SELECTION_SEEDS + 2 * config.most_pairs if config.most_pairs else 0
    trials = config.trials + confirming
    kept = min(config.trials, KEPT) + ALSO_KEPT
    checkpoints = (
        None if state_bytes is None else (WHILE_RUNNING * min(resources.concurrent, trials) + kept) * state_bytes
    )
    return DiskUse(checkpoints, REPLACED * trials * (TRIAL_BYTES + REPORT_BYTES * config.budget.epochs))


def _size(count: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
