"""How long a run has taken, by its own events."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.trials.record import Event


def seconds_used(events: Sequence[Event]) -> float:
    """Wall clock of all sessions, each from its start to its last event; a clock set back counts as none."""
    total, first, last = 0.0, None, 0.0
    for event in events:
        moment = event.get("time")
        if not isinstance(moment, (int, float)):
            continue
        if event["event"] in ("sweep_started", "sweep_resumed"):
            total += 0.0 if first is None else max(last - first, 0.0)
            first = float(moment)
        last = float(moment)
    return total + (0.0 if first is None else max(last - first, 0.0))
