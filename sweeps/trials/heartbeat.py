"""Which trials have been silent for longer than they should be."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Heartbeat:
    """How long silence may last, in seconds: `first` while a trainer comes up and until any epoch was seen, and from
    then on `factor` times the longest epoch, but `floor` at least."""

    factor: float = 10.0
    floor: float = 120.0
    first: float = 1800.0
    _last_sign: dict[str, float] = field(default_factory=dict)
    _coming_up: set[str] = field(default_factory=set)
    _longest: float | None = None

    def handed_out(self, trial_id: str, now: float) -> None:
        """The trial waits for a worker and its trainer."""
        self._last_sign[trial_id] = now
        self._coming_up.add(trial_id)

    def started(self, trial_id: str, now: float) -> None:
        """The trial's trainer is there, and its next epoch has begun."""
        self._last_sign[trial_id] = now
        self._coming_up.discard(trial_id)

    def reported(self, trial_id: str, now: float, epoch_seconds: float) -> None:
        """The trial has reported an epoch that took that long."""
        self.started(trial_id, now)
        self._longest = max(self._longest or 0.0, epoch_seconds)

    def ended(self, trial_id: str) -> None:
        """The trial is watched no more."""
        self._last_sign.pop(trial_id, None)
        self._coming_up.discard(trial_id)

    def patience(self, trial_id: str) -> float:
        """Seconds of silence that the trial is allowed."""
        if self._longest is None or trial_id in self._coming_up:
            return self.first
        return max(self.floor, self.factor * self._longest)

    def late(self, now: float) -> list[str]:
        """The trials that have been silent for too long."""
        return [trial_id for trial_id, sign in self._last_sign.items() if now - sign > self.patience(trial_id)]
