"""The hard limits that no space, --set or warm start may leave, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, StrictStr, ValidationError, field_validator, model_validator

from sweeps.common.errors import RequestError
from sweeps.common.strict_yaml import read_yaml_mapping
from sweeps.common.validation import problems_of, unknown_keys
from sweeps.space.parameter import Number

LIMITS_FILE = Path(str(files("search_spaces") / "limits.yaml"))


class Limit(BaseModel):
    """The safe range of one parameter; above `dangerous_above` training is known to go wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: StrictStr
    min: Number
    max: Number
    reason: StrictStr
    dangerous_above: Number | None = None

    @field_validator("reason")
    @classmethod
    def _one_line(cls, reason: str) -> str:
        return " ".join(reason.split())

    @model_validator(mode="after")
    def _checked(self) -> Limit:
        if self.min >= self.max:
            raise ValueError(f"min {self.min!r} is not below max {self.max!r}")
        return self

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
        return {name: limit.model_dump(exclude={"name"}) for name, limit in self.by_name.items()}


NO_LIMITS = Limits({})


def load_limits(path: Path = LIMITS_FILE) -> Limits:
    """The limits in a YAML file."""
    return limits_from_mapping(read_yaml_mapping(path), str(path))


def limits_from_mapping(given: Mapping[str, object], where: str) -> Limits:
    """Limits from plain data; RequestError lists everything that is wrong in `where`."""
    limits, problems = {}, []
    for name, entry in given.items():
        if not isinstance(entry, Mapping):
            problems.append(f"{name}: expected min, max, reason and perhaps dangerous_above")
            continue
        found = unknown_keys(entry, Limit, hidden=("name",))
        known = {key: value for key, value in entry.items() if key in Limit.model_fields and key != "name"}
        try:
            limits[name] = Limit(name=name, **known)
        except ValidationError as error:
            found += problems_of(error)
        problems += [f"{name}: {problem}" for problem in found]
    if problems:
        raise RequestError(f"{where}: " + "; ".join(problems))
    return Limits(limits)
