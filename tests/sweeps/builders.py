"""Small values that many tests need: spaces, records, requests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeps.common.budget import Budget
from sweeps.run.config import SweepConfig
from sweeps.search.options import SearchOptions
from sweeps.space.limits import load_limits
from sweeps.space.space import Space
from sweeps.space.space_file import load_space
from sweeps.trials.event import Event
from sweeps.trials.record import TrialRecord, records_from_events

LIMITS = load_limits()
TOY = "tests.toy_trainer:ToyTrainer"


def trial_events(
    number: int,
    objectives: list[float],
    status: str | None = "finished",
    *,
    role: str = "trial",
    origin: str = "sobol",
    params: Mapping[str, object] | None = None,
    reason: str = "",
) -> list[Event]:
    """The events of one trial with these objectives by epoch."""
    trial_id = f"t{number:04d}"
    config = params or {"mel_loss_weight": 1.0 + number / 10, "kl_loss_weight": 1.0, "gradient_clip_norm": 0.5}
    events: list[Event] = [
        {"event": "trial_started", "trial_id": trial_id, "time": 1000.0 + number, "role": role, "seed": 1, "slot": 0}
        | {"params": config, "origin": origin}
    ]
    for epoch, value in enumerate(objectives, 1):
        shown = value if math.isfinite(value) else None
        events.append({"event": "report", "trial_id": trial_id, "time": 1001.0, "epoch": epoch, "objective": shown})
    if status is not None:
        ended = {"status": status, "stop_reason": reason, "epoch": len(objectives), "rung": None}
        events.append({"event": "trial_ended", "trial_id": trial_id, "time": 1002.0} | ended)
    return events


def trial(number: int, objectives: list[float], status: str | None = "finished", **more: Any) -> TrialRecord:
    """One trial's record."""
    return records_from_events(trial_events(number, objectives, status, **more))[0]


def toy_request(output: Path, space: str | Space = "safe_weights", **changes: Any) -> SweepConfig:
    """A request for a quick sweep of the toy trainer."""
    given: dict[str, Any] = {
        "name": "toy",
        "output": output,
        "space": load_space(space) if isinstance(space, str) else space,
        "trainer": TOY,
        "data": str(output),
        "budget": Budget(changes.pop("trials", 4), changes.pop("epochs", 3), changes.pop("seconds", None)),
        "concurrent": 1,
        "search": SearchOptions(),
    }
    return SweepConfig(**(given | changes))
