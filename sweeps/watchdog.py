"""Which trials have been silent for longer than any epoch should take."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Watchdog:
    """A trial is late after `factor` times the longest epoch so far, `floor` seconds at least, `first` before any."""

    factor: float = 10.0
    floor: float = 120.0
    first: float = 1800.0
    _heard: dict[str, float] = field(default_factory=dict)
    _longest: float | None = None

    def started(self, trial_id: str, now: float) -> None:
        """The trial has begun; setting up is not an epoch."""
        self._heard[trial_id] = now

    def reported(self, trial_id: str, now: float, epoch_seconds: float) -> None:
        """The trial has reported an epoch that took that long."""
        self._heard[trial_id] = now
        self._longest = max(self._longest or 0.0, epoch_seconds)

    def ended(self, trial_id: str) -> None:
        """The trial is watched no more."""
        self._heard.pop(trial_id, None)

    @property
    def patience(self) -> float:
        """Seconds of silence that are allowed."""
        return self.first if self._longest is None else max(self.floor, self.factor * self._longest)

    def late(self, now: float) -> list[str]:
        """The trials that have been silent for too long."""
        return [trial_id for trial_id, heard in self._heard.items() if now - heard > self.patience]
