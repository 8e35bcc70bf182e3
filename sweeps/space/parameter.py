"""One searched parameter, in W&B's words, that cannot be built wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError, model_validator

from sweeps.common.errors import RequestError, meant
from sweeps.common.validation import is_number_text, problems_of, unknown_keys

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Number = StrictInt | Finite
Value = StrictBool | StrictInt | Finite | StrictStr | None
Distribution = Literal[
    "uniform", "log_uniform_values", "q_uniform", "q_log_uniform_values", "int_uniform", "categorical", "constant"
]

DISTRIBUTIONS: tuple[str, ...] = get_args(Distribution)
LISTED = ("categorical", "constant")
LOGARITHMIC = ("log_uniform_values", "q_log_uniform_values")
STEPPED = ("q_uniform", "q_log_uniform_values")
SIGNIFICANT_DIGITS = 4  # more would only make configs unreadable: 2.4371 and 2.43712 differ by less than seeds do


class Parameter(BaseModel):
    """A named set of values with a default; RequestError lists everything that is wrong with it.

    A distribution is described by the two lists above and by `at` and `unit`, which are each other's inverse.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: StrictStr
    distribution: Distribution
    default: Value
    min: Number | None = None
    max: Number | None = None
    q: Number | None = None
    values: tuple[Value, ...] = ()

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise RequestError("; ".join(f"{given.get('name')}: {problem}" for problem in problems_of(error))) from None

    @model_validator(mode="after")
    def _checked(self) -> Parameter:
        problems = self._problems_of_values() if self.distribution in LISTED else self._problems_of_range()
        if problems:
            raise ValueError(f"; {self.name}: ".join(problems))
        return self

    def _problems_of_values(self) -> list[str]:
        problems = []
        if not self.values:
            key = "value" if self.distribution == "constant" else "values"
            problems.append(f"{self.distribution} needs {key}")
        if len({(isinstance(value, bool), value) for value in self.values}) < len(self.values):
            problems.append(f"values {list(self.values)} hold one value twice")
        if self.values and self.default not in self.values:
            problems.append(f"the default {self.default!r} is not one of {list(self.values)}")
        return problems

    def _problems_of_range(self) -> list[str]:
        given = {"min": self.min, "max": self.max, "default": self.default}
        problems = [f"{key} {value!r} is not a finite number" for key, value in given.items() if not _is_number(value)]
        if problems:
            return problems
        low, high, default = _number(self.min), _number(self.max), _number(self.default)
        if low >= high:
            return [f"min {self.min!r} is not below max {self.max!r}"]
        if not low <= default <= high:
            problems.append(f"the default {self.default!r} lies outside {self.min!r} to {self.max!r}")
        if self.distribution in LOGARITHMIC and low <= 0:
            problems.append(f"{self.distribution} needs min above 0, not {self.min!r}")
        if self.distribution == "int_uniform":
            problems += [
                f"int_uniform needs whole numbers, not {key} {value!r}"
                for key, value in given.items()
                if _number(value) != int(_number(value))
            ]
        if self.distribution in STEPPED and self.step <= 0:
            problems.append(f"{self.distribution} needs q above 0, not {self.q!r}")
        elif self.distribution in STEPPED and self._steps[0] > self._steps[1]:
            problems.append(f"no multiple of q {self.step:g} lies between {self.min!r} and {self.max!r}")
        return problems

    @property
    def searched(self) -> bool:
        """Whether there is more than one value to try."""
        return self.distribution not in LISTED or len(self.values) > 1

    @property
    def logarithmic(self) -> bool:
        """Whether the search moves in the logarithm of the value."""
        return self.distribution in LOGARITHMIC

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers: a batch size, a depth."""
        if self.distribution == "int_uniform":
            return True
        return self.distribution in STEPPED and all(
            _number(value) == int(_number(value)) for value in (self.min, self.max, self.step)
        )

    @property
    def step(self) -> float:
        """The distance of the values of a stepped distribution; 1 where none is given, as in W&B."""
        return 1.0 if self.q is None else _number(self.q)

    @property
    def _steps(self) -> tuple[int, int]:
        low, high = _number(self.min), _number(self.max)
        return math.ceil(low / self.step - 1e-9), math.floor(high / self.step + 1e-9)

    def grid(self, most: int) -> list[Value] | None:
        """All values, where there are at most `most` of them."""
        if self.distribution in LISTED:
            return list(self.values) if len(self.values) <= most else None
        if self.distribution == "int_uniform":
            first, last = int(_number(self.min)), int(_number(self.max))
            return list(range(first, last + 1)) if last - first < most else None
        if self.distribution in STEPPED:
            first, last = self._steps
            return [self._multiple(n) for n in range(first, last + 1)] if last - first < most else None
        return None

    def at(self, unit: float) -> Value:
        """The value at `unit` of the way (0 to 1) through the distribution."""
        unit = min(max(unit, 0.0), 1.0)
        if self.distribution in LISTED:
            return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]
        low, high = _number(self.min), _number(self.max)
        if self.distribution == "int_uniform":
            return min(int(low) + int(unit * (int(high) - int(low) + 1)), int(high))
        if self.logarithmic:
            return self.rounded(low * (high / low) ** unit)
        return self.rounded(low + unit * (high - low))

    def unit(self, value: object) -> float | None:
        """How far through the distribution a value stands, the inverse of `at`; None for one that it does not hold."""
        if not self.contains(value):
            return None
        if self.distribution in LISTED:
            return (self.values.index(cast(Value, value)) + 0.5) / len(self.values)
        low, high, number = _number(self.min), _number(self.max), _number(value)
        if self.distribution == "int_uniform":
            return (number - low + 0.5) / (high - low + 1)
        if self.logarithmic:
            return math.log(number / low) / math.log(high / low)
        return (number - low) / (high - low)

    def rounded(self, value: float) -> Value:
        """The readable value nearest to `value` that lies inside the range."""
        low, high = _number(self.min), _number(self.max)
        if self.distribution == "int_uniform":
            return int(min(max(round(value), low), high))
        if self.distribution in STEPPED:
            lowest, highest = self._steps
            return self._multiple(min(max(round(value / self.step), lowest), highest))
        return min(max(significant(value), low), high)

    def _multiple(self, count: int) -> Value:
        if self.whole:
            return count * int(self.step)
        return min(max(significant(count * self.step), _number(self.min)), _number(self.max))

    def contains(self, value: object) -> bool:
        """Whether `value` may be tried."""
        if self.distribution in LISTED:
            return value in self.values
        return _is_number(value) and _number(self.min) <= _number(value) <= _number(self.max)


class ParameterWords(BaseModel):
    """The keys of a parameter in a space file, in W&B's words."""

    distribution: Any = None
    min: Any = None
    max: Any = None
    q: Any = None
    values: Any = None
    value: Any = None
    default: Any = None
    description: Any = None


KEYS = tuple(ParameterWords.model_fields)


def parameter_from_mapping(name: str, given: object) -> Parameter:
    """A parameter from its YAML form, where W&B's rules fill in the distribution; RequestError lists all its errors."""
    if not isinstance(given, Mapping):
        given = {"value": given}
    problems = [f"{name}: {problem}" for problem in unknown_keys(given, ParameterWords)]
    if "value" in given and "values" in given:
        problems.append(f"{name}: has value and values; value fixes it, values are searched: leave one out")
    values = given.get("values", [given["value"]] if "value" in given else [])
    if not isinstance(values, list) or any(isinstance(value, (list, dict)) for value in values):
        problems.append(f"{name}: values is {values!r}; expected a list of numbers or words")
        values = []
    quoted = [key for key in ("min", "max", "q", "default") if is_number_text(given.get(key)) and not values]
    if quoted:
        problems += [f"{name}: {key} {given[key]!r} is a word: write the number without quotes" for key in quoted]
        raise RequestError("; ".join(problems))
    distribution = given.get("distribution") or _implied(given)
    if distribution is None:
        problems.append(f"{name}: needs a distribution, or min and max, or values, or value")
    elif distribution in ("log_uniform", "q_log_uniform"):
        problems.append(f"{name}: {distribution} takes exponents in W&B; write {distribution}_values")
        distribution = None
    elif not isinstance(distribution, str):
        problems.append(f"{name}: distribution {distribution!r} is not a word")
        distribution = None
    elif distribution not in DISTRIBUTIONS:
        problems.append(f"{name}: unknown distribution {distribution!r}; {meant(distribution, DISTRIBUTIONS)}")
        distribution = None
    default = given.get("default", values[0] if distribution == "constant" and values else None)
    if distribution in DISTRIBUTIONS and distribution != "constant" and "default" not in given:
        problems.append(f"{name}: has no default; trial 1 is the default config, so each parameter needs one")
        default = values[0] if values else given.get("min")
    if distribution is not None:
        ends = {key: given[key] for key in ("min", "max", "q") if given.get(key) is not None}
        try:
            found = Parameter(name=name, distribution=distribution, default=default, values=tuple(values), **ends)
        except RequestError as error:
            problems.append(str(error))
    if problems:
        raise RequestError("; ".join(" ".join(problem.split()) for problem in problems))
    return found


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


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: object) -> float:
    assert isinstance(value, (int, float))
    return value
