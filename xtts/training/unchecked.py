"""What settings.py takes from pydantic, for a machine that has torch but not pydantic: values are taken unchecked.

benchmarks/gpu.py trains on such machines. An installation of the package always has pydantic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FiniteFloat = float


class _Mark:
    """A constraint that is not checked."""

    def __init__(self, *given: object, **named: object) -> None:
        del given, named


AfterValidator = Ge = Gt = Le = Lt = Field = _Mark
ConfigDict = dict


class ValidationError(ValueError):
    """Never raised."""


class BaseModel:
    """Values by name over the class's defaults."""

    def __init__(self, **values: object) -> None:
        for name, value in {**self._defaults(), **values}.items():
            setattr(self, name, value)

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {name: getattr(cls, name) for name in cls.__annotations__}

    @classmethod
    def model_validate(cls, values: Mapping[str, Any]) -> BaseModel:
        """The values as they are; TypeError for a name that does not exist."""
        unknown = set(values) - set(cls._defaults())
        if unknown:
            raise TypeError(f"unknown parameters {', '.join(sorted(unknown))}")
        return cls(**values)
