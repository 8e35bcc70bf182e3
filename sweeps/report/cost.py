"""What a sweep used, and what stopping trials early spared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.run.resources import Resources
from sweeps.trials.objective import number
from sweeps.trials.record import TrialRecord

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of training over all trials, the wall clock, and the share of a device that a trial held."""

    wall_seconds: float
    trial_seconds: float
    saved_seconds: float
    stopped: int
    cpus_per_trial: float
    gpus_per_trial: float

    @property
    def device(self) -> str:
        """'gpu' where trials held one, else 'cpu'."""
        return "gpu" if self.gpus_per_trial else "cpu"

    @property
    def device_hours(self) -> float:
        """Hours of that device."""
        return self._hours(self.trial_seconds)

    @property
    def saved_hours(self) -> float:
        """Hours that the stopped trials would have taken to their full length, at their own pace."""
        return self._hours(self.saved_seconds)

    @property
    def saved_share(self) -> float:
        """Of what the sweep would have used without early stopping, 0 to 1."""
        whole = self.trial_seconds + self.saved_seconds
        return self.saved_seconds / whole if whole else 0.0

    def _hours(self, seconds: float) -> float:
        return seconds * (self.gpus_per_trial or self.cpus_per_trial) / SECONDS_PER_HOUR


def cost(records: Sequence[TrialRecord], plan: Resources, epochs: int, wall_seconds: float) -> Cost:
    """The cost of `records`, whose full length is `epochs`."""
    stopped = [record for record in records if record.status == "stopped" and record.epochs]
    return Cost(
        wall_seconds=wall_seconds,
        trial_seconds=sum(trained_seconds(record) for record in records),
        saved_seconds=sum(
            trained_seconds(record) / record.epochs * max(epochs - record.epochs, 0) for record in stopped
        ),
        stopped=len(stopped),
        cpus_per_trial=plan.cpus_per_trial,
        gpus_per_trial=plan.gpus_per_trial,
    )


def trained_seconds(record: TrialRecord) -> float:
    """A trial's own wall time of training: as it reported, else from its start to its last event."""
    reported = number(record.last_report.get("seconds"))
    if reported is not None and reported >= 0:
        return reported
    moments = [record.ended, record.last_report.get("time")]
    ended = next((moment for moment in map(number, moments) if moment is not None), None)
    return max(ended - record.started, 0.0) if ended is not None and record.started is not None else 0.0
