"""What a worker is given of a trial: plain data that Ray hands over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sweeps.backend.environment import Environment
from sweeps.confirm.confirmation import CONFIRMATION
from sweeps.run.config import SweepConfig
from sweeps.run.folder import RunFolder
from sweeps.run.resources import Resources
from sweeps.trials.record import TrialRecord


@dataclass(frozen=True)
class WorkerConfig:
    """The same for all trials of a run; called with a record it is the config of that trial."""

    folder: RunFolder
    config: SweepConfig
    resources: Resources
    environment: Environment

    def __call__(self, record: TrialRecord) -> dict[str, Any]:
        """All that sweeps/backend/trainable.py reads."""
        epochs, here = self.config.budget.epochs, self.environment.cluster is None
        return {
            "trial_id": record.trial_id,
            "params": {**self.config.shared_params, **record.params},
            "seed": record.seed,
            "trainer": self.config.loadable_trainer,
            "data": self.environment.data(self.config),
            "threads": self.resources.threads,
            "checkpoints": self.environment.checkpoints(self.folder),
            "known_epochs": record.epochs,
            "judged_at": epochs if record.origin == CONFIRMATION else None,
            "epochs": epochs,
            "attempt": record.attempts,
            "folder": str(self.folder.trial(record.trial_id).resolve()) if here else None,
        }
