"""One event of trials.jsonl, and what makes a line one that no sweep has written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Event = Mapping[str, object]


def event_problem(event: Event) -> str | None:
    """What makes an event one that no sweep has written; None where nothing does. A report's metrics are its own."""
    reported = event.get("event") == "report"
    for name, fits, wanted in _FIELDS:
        if reported and name not in ("trial_id", "epoch", "time"):
            continue
        if name in event and event[name] is not None and not fits(event[name]):
            return f"{name} is not {wanted}"
    needed = _NEEDED.get(str(event.get("event")), ())
    missing = next((name for name in needed if event.get(name) is None), None)
    return None if missing is None else f"it has no {missing}"


def _is_word(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _is_settings(value: object) -> bool:
    plain = (str, int, float, bool, type(None))
    return isinstance(value, Mapping) and all(isinstance(entry, plain) for entry in value.values())


_WORDS = ("trial_id", "role", "origin", "label", "status", "stop_reason", "reason", "mode")
_FIELDS: tuple[tuple[str, Callable[[object], bool], str], ...] = (
    *((name, _is_word, "a word") for name in _WORDS),
    *((name, _is_count, "a whole number") for name in ("epoch", "seed", "slot", "rung")),
    *((name, _is_number, "a number") for name in ("time", "value", "cutoff")),
    *((name, _is_settings, "a list of names with values") for name in ("params", "coordinates")),
)
_NEEDED = {
    "trial_started": ("trial_id", "role", "params"),
    "report": ("trial_id", "epoch"),
    "rung": ("trial_id", "epoch"),
    "trial_ended": ("trial_id", "status"),
}
