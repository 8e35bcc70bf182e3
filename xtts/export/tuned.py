"""What is exported: the tuned parameters, and where they come from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from xtts.export.errors import ExportError
from xtts.model.model_config import DEFAULT_MODEL

WEIGHTS = ("mel_loss_weight", "kl_loss_weight", "gradient_clip_norm")


@dataclass(frozen=True)
class TunedParams:
    """Parameters of any trainer; `searched` names those that the sweep chose."""

    params: Mapping[str, object]
    searched: frozenset[str] = field(default=frozenset(), kw_only=True)

    def __post_init__(self) -> None:
        for name, value in self.params.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ExportError(f"the config to export has {name} = {value!r}; it needs a finite number")
        object.__setattr__(self, "params", MappingProxyType(dict(self.params)))


@dataclass(frozen=True)
class TunedConfig(TunedParams):
    """A config of the built-in trainer. `mel_mean` and `mel_sd` are of the log-mel (nats) that it was tuned on.

    Other trainers receive the three of WEIGHTS and the searched parameters: a fixed learning rate of our model does not
    carry over to theirs. Raises ExportError where one of the three is missing or not a positive number.
    """

    mel_mean: float
    mel_sd: float
    model: str = DEFAULT_MODEL

    def __post_init__(self) -> None:
        for name in WEIGHTS:
            if name not in self.params:
                raise ExportError(f"the config to export has no {name}; it needs {', '.join(WEIGHTS)}")
            _positive(name, self.params[name])
        _positive("mel_sd", self.mel_sd)
        super().__post_init__()

    @property
    def mel_loss_weight(self) -> float:
        return _positive("mel_loss_weight", self.params["mel_loss_weight"])

    @property
    def kl_loss_weight(self) -> float:
        return _positive("kl_loss_weight", self.params["kl_loss_weight"])

    @property
    def gradient_clip_norm(self) -> float:
        return _positive("gradient_clip_norm", self.params["gradient_clip_norm"])

    @property
    def standardised(self) -> bool:
        """Whether the mel loss was measured on standardised mel (the default) or, in a control, on raw log-mel."""
        return self.params.get("mel_normalisation") != "none"


@dataclass(frozen=True)
class Provenance:
    """Where a config comes from. `interval` bounds its objective's difference to the default's (sd units), over
    `seeds`; both are empty before confirmation. `is_default`: this is the space's default config itself. `measure`:
    what the objective is, where an external trainer's spec defines it; else `model` is the size that was swept."""

    objective: float
    best_epoch: int
    verdict: str
    seeds: tuple[int, ...]
    interval: tuple[float, float] | None
    data: str
    data_fingerprint: str
    date: str
    version: str
    run: str
    is_default: bool = False
    measure: str | None = None
    model: str = DEFAULT_MODEL


def _positive(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise ExportError(f"the config to export has {name} = {value!r}; it needs a positive number")
    return float(value)
