"""One searched parameter, in W&B's words, that cannot be built wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import cast

from sweeps.common.errors import RequestError

Value = float | int | str | bool | None

RANGES = ("uniform", "log_uniform_values", "q_uniform", "int_uniform")
DISTRIBUTIONS = (*RANGES, "categorical", "constant")
KEYS = ("distribution", "min", "max", "q", "values", "value", "default", "description")
SIGNIFICANT_DIGITS = 4  # more would only make configs unreadable: no seed can tell 2.4371 from 2.43712


@dataclass(frozen=True)
class Parameter:
    """A named set of values with a default; RequestError lists everything that is wrong with it."""

    name: str
    distribution: str
    default: Value
    min: float | None = None
    max: float | None = None
    q: float | None = None
    values: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        problems = self._problems()
        if problems:
            raise RequestError("; ".join(f"{self.name}: {problem}" for problem in problems))

    def _problems(self) -> list[str]:
        if self.distribution not in DISTRIBUTIONS:
            return [f"unknown distribution {self.distribution!r}; {_meant(self.distribution, DISTRIBUTIONS)}"]
        if self.distribution in ("categorical", "constant"):
            return self._problems_of_values()
        return self._problems_of_range()

    def _problems_of_values(self) -> list[str]:
        problems = []
        if not self.values:
            key = "value" if self.distribution == "constant" else "values"
            problems.append(f"{self.distribution} needs {key}")
        problems += [f"the value {value!r} is not finite" for value in self.values if not _is_plain(value)]
        if len({(isinstance(value, bool), value) for value in self.values}) < len(self.values):
            problems.append(f"values {list(self.values)} hold one value twice")
        if self.values and self.default not in self.values:
            problems.append(f"the default {self.default!r} is not one of {list(self.values)}")
        return problems

    def _problems_of_range(self) -> list[str]:
        problems = [
            f"{key} {value!r} is not a finite number"
            for key, value in (("min", self.min), ("max", self.max), ("default", self.default))
            if not _is_number(value)
        ]
        if problems:
            return problems
        low, high, default = _number(self.min), _number(self.max), _number(self.default)
        if low >= high:
            return [f"min {self.min!r} is not below max {self.max!r}"]
        if not low <= default <= high:
            problems.append(f"the default {self.default!r} lies outside {self.min!r} to {self.max!r}")
        if self.distribution == "log_uniform_values" and low <= 0:
            problems.append(f"log_uniform_values needs min above 0, not {self.min!r}")
        if self.distribution == "int_uniform":
            problems += [
                f"int_uniform needs whole numbers, not {key} {value!r}"
                for key, value in (("min", self.min), ("max", self.max), ("default", self.default))
                if _number(value) != int(_number(value))
            ]
        if self.distribution == "q_uniform" and (not _is_number(self.q) or _number(self.q) <= 0):
            problems.append(f"q_uniform needs q above 0, not {self.q!r}")
        return problems

    @property
    def searched(self) -> bool:
        """Whether there is more than one value to try."""
        return self.distribution in RANGES or len(self.values) > 1

    def at(self, unit: float) -> Value:
        """The value at `unit` of the way (0 to 1) through the distribution."""
        unit = min(max(unit, 0.0), 1.0)
        if self.distribution in ("categorical", "constant"):
            return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]
        low, high = _number(self.min), _number(self.max)
        if self.distribution == "int_uniform":
            return min(int(low) + int(unit * (int(high) - int(low) + 1)), int(high))
        if self.distribution == "log_uniform_values":
            return self.rounded(low * (high / low) ** unit)
        return self.rounded(low + unit * (high - low))

    def unit(self, value: object) -> float | None:
        """How far through the distribution a value stands, the inverse of `at`; None for one that it does not hold."""
        if not self.contains(value):
            return None
        if self.distribution in ("categorical", "constant"):
            return (self.values.index(cast(Value, value)) + 0.5) / len(self.values)
        low, high, number = _number(self.min), _number(self.max), _number(value)
        if self.distribution == "int_uniform":
            return (number - low + 0.5) / (high - low + 1)
        if self.distribution == "log_uniform_values":
            return math.log(number / low) / math.log(high / low)
        return (number - low) / (high - low)

    def rounded(self, value: float) -> Value:
        """The readable value nearest to `value` that lies inside the range."""
        low, high = _number(self.min), _number(self.max)
        if self.distribution == "int_uniform":
            return int(min(max(round(value), low), high))
        if self.distribution == "q_uniform":
            step = _number(self.q)
            lowest, highest = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            value = min(max(round(value / step), lowest), highest) * step
        return min(max(significant(value), low), high)

    def contains(self, value: object) -> bool:
        """Whether `value` may be tried."""
        if self.distribution in ("categorical", "constant"):
            return value in self.values
        return _is_number(value) and _number(self.min) <= _number(value) <= _number(self.max)


def parameter_from_mapping(name: str, given: object) -> Parameter:
    """A parameter from its YAML form, where W&B's rules fill in the distribution; RequestError lists all its errors."""
    if not isinstance(given, Mapping):
        given = {"value": given}
    problems = [f"{name}: unknown key {str(key)!r}; {_meant(str(key), KEYS)}" for key in given if str(key) not in KEYS]
    values = given.get("values", [given["value"]] if "value" in given else [])
    if not isinstance(values, list) or any(isinstance(value, (list, dict)) for value in values):
        problems.append(f"{name}: values is {values!r}; expected a list of numbers or words")
        values = []
    distribution = given.get("distribution") or _implied(given)
    if distribution is None:
        problems.append(f"{name}: needs a distribution, or min and max, or values, or value")
    elif distribution == "log_uniform":
        problems.append(f"{name}: log_uniform takes exponents in W&B; write log_uniform_values")
        distribution = None
    default = given.get("default", values[0] if distribution == "constant" and values else None)
    if distribution in DISTRIBUTIONS and distribution != "constant" and "default" not in given:
        problems.append(f"{name}: has no default; trial 1 is the default config, so each parameter needs one")
        default = values[0] if values else given.get("min")
    if isinstance(distribution, str):
        try:
            low, high, step = (cast("float | None", given.get(key)) for key in ("min", "max", "q"))
            parameter = Parameter(name, distribution, cast(Value, default), low, high, step, tuple(values))
        except RequestError as error:
            problems.append(str(error))
    elif distribution is not None:
        problems.append(f"{name}: distribution {distribution!r} is not a word")
    if problems:
        raise RequestError("; ".join(problems))
    return parameter


def significant(value: float) -> float:
    """`value` to the digits that a config shows."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _implied(given: Mapping[str, object]) -> str | None:
    if "value" in given:
        return "constant"
    if "values" in given:
        return "categorical"
    if "min" in given and "max" in given:
        whole = all(isinstance(given[key], int) and not isinstance(given[key], bool) for key in ("min", "max"))
        return "int_uniform" if whole else "uniform"
    return None


def _meant(given: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(given, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: object) -> float:
    assert isinstance(value, (int, float))
    return value


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, bool)) or _is_number(value)
