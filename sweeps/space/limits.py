"""The hard limits that no space, --set or warm start may leave, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sweeps.common.errors import RequestError
from sweeps.common.strict_yaml import read_yaml_mapping

LIMITS_FILE = Path(str(files("search_spaces") / "limits.yaml"))
KEYS = ("min", "max", "dangerous_above", "reason")


@dataclass(frozen=True)
class Limit:
    """The safe range of one parameter; above `dangerous_above` training is known to go wrong."""

    name: str
    min: float
    max: float
    reason: str
    dangerous_above: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.min) and math.isfinite(self.max) and self.min < self.max):
            raise RequestError(f"limits of {self.name}: min {self.min!r} is not below max {self.max!r}")

    def problem(self, value: object) -> str | None:
        """What is wrong with `value`, or None where it is safe."""
        if isinstance(value, (int, float)) and not isinstance(value, bool) and self.min <= value <= self.max:
            return None
        shown = "off" if value is None else repr(value)
        extra = ""
        if self.dangerous_above is not None and isinstance(value, (int, float)) and value > self.dangerous_above:
            extra = f", and above {self.dangerous_above:g} it is dangerous"
        return f"{self.name} {shown} is outside the safe range {self.min:g} to {self.max:g}{extra} ({self.reason})"


@dataclass(frozen=True)
class Limits:
    """Limits by parameter name; a parameter without one is free."""

    by_name: Mapping[str, Limit]

    def problems(self, params: Mapping[str, object]) -> list[str]:
        """One line for each of `params` that is outside its limits."""
        found = (self.by_name[name].problem(value) for name, value in params.items() if name in self.by_name)
        return [problem for problem in found if problem is not None]

    def hold(self, params: Mapping[str, object]) -> bool:
        """Whether all of `params` are safe."""
        return not self.problems(params)

    def as_dict(self) -> dict[str, object]:
        """Plain data for sweep.yaml."""
        return {
            name: {"min": limit.min, "max": limit.max, "dangerous_above": limit.dangerous_above, "reason": limit.reason}
            for name, limit in self.by_name.items()
        }


NO_LIMITS = Limits({})


def load_limits(path: Path = LIMITS_FILE) -> Limits:
    """The limits in a YAML file."""
    return limits_from_mapping(read_yaml_mapping(path), str(path))


def limits_from_mapping(given: Mapping[str, object], where: str) -> Limits:
    """Limits from plain data; RequestError lists everything that is wrong in `where`."""
    limits, problems = {}, []
    for name, entry in given.items():
        if not isinstance(entry, Mapping) or set(entry) - set(KEYS) or not {"min", "max", "reason"} <= set(entry):
            problems.append(f"{name}: expected min, max, reason and perhaps dangerous_above")
            continue
        numbers = {key: entry[key] for key in ("min", "max", "dangerous_above") if entry.get(key) is not None}
        if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in numbers.values()):
            problems.append(f"{name}: min, max and dangerous_above must be numbers")
            continue
        try:
            reason = " ".join(str(entry["reason"]).split())
            limits[name] = Limit(name, numbers["min"], numbers["max"], reason, numbers.get("dangerous_above"))
        except RequestError as error:
            problems.append(str(error))
    if problems:
        raise RequestError(f"{where}: " + "; ".join(problems))
    return Limits(limits)
