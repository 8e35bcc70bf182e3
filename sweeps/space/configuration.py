"""What one trial tries: the trainer's parameters, and an identity by which no config runs twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

IDENTITY_DIGITS = 6


@dataclass(frozen=True)
class Configuration:
    """The searched parameters under the trainer's names; `coordinates` where the search ran in others."""

    params: Mapping[str, object]
    coordinates: Mapping[str, object] = field(default_factory=dict)
    label: str | None = None

    @property
    def identity(self) -> str:
        """The same for configs that differ by nothing that matters."""
        return identity(self.params)


def identity(params: Mapping[str, object]) -> str:
    """A short hash of the parameters, rounded, whatever their order."""
    rounded = {name: _rounded(value) for name, value in sorted(params.items())}
    return hashlib.sha256(json.dumps(rounded).encode()).hexdigest()[:12]


def _rounded(value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:.{IDENTITY_DIGITS}g}"
    return value
