"""What a trial can be set to: every parameter with its default, type and bounds. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from xtts.errors import SpeechError
from xtts.model.model_config import DEFAULT_MODEL, PRESETS

if TYPE_CHECKING or find_spec("pydantic") is not None:
    from annotated_types import Ge, Gt, Le, Lt
    from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
else:  # a GPU machine with torch alone: see benchmarks/gpu.py
    from xtts.training.unchecked import (
        AfterValidator,
        BaseModel,
        ConfigDict,
        Field,
        FiniteFloat,
        Ge,
        Gt,
        Le,
        Lt,
        ValidationError,
    )

Weighting = Literal["fixed", "sigma_vae", "balancer"]
WEIGHTINGS: tuple[str, ...] = get_args(Weighting)

Positive = Annotated[FiniteFloat, Gt(0)]
NotNegative = Annotated[FiniteFloat, Ge(0)]
Count = Annotated[int, Ge(0), Lt(2**31)]

DEMO_SETTINGS: Mapping[str, object] = {"learning_rate": 2e-3, "batch_frames": 500, "cooldown": 0.5}
"""Defaults where the demo speech is trained on: with those for data of one's own its 9 epochs are too few updates for
weights to matter (docs/results-confirmation.md)."""


def _known_preset(name: str) -> str:
    if name not in PRESETS:
        raise ValueError
    return name


class Settings(BaseModel):
    """Every parameter the trainer knows, with its default; numbers outside what makes sense are refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    mel_loss_weight: Positive = 2.5
    kl_loss_weight: Positive = 1.0
    gradient_clip_norm: NotNegative | None = 0.5
    """None or 0: off"""
    learning_rate: Positive = 1e-3
    loss_value_clip: NotNegative | None = None
    """Largest raw batch-mean mel loss; above it the gradient is zero. None or 0: off"""
    mel_normalisation: Literal["standard", "none"] = "standard"
    model: Annotated[str, AfterValidator(_known_preset)] = DEFAULT_MODEL
    batch_frames: Count = 0
    """Padded mel frames a batch; 0: the model's own"""
    warmup_updates: Count = 30
    history_dropout: Annotated[FiniteFloat, Ge(0), Le(1)] = 0.3
    weight_decay: NotNegative = 0.01
    cooldown: Annotated[FiniteFloat, Ge(0), Le(1)] = 0.0
    """Share of a trial's length, at its end, over which the learning rate falls linearly to 0; 0: constant"""
    weight_average: Annotated[FiniteFloat, Ge(0), Le(1)] = 0.05
    """The objective is of weights averaged over about this share of the updates so far; 0: of the last weights"""
    adam_epsilon: Positive = 1e-8
    weighting: Weighting = "fixed"
    """fixed, or a baseline that finds the KL weight by itself: sigma_vae (kl_loss_weight is not used), balancer"""
    evaluate_on: Literal["validation", "test"] = "validation"
    """The split of the objective and of all metrics; only a confirmation opens test"""
    precision: Literal["auto", "float32", "float64"] = "auto"
    """auto: bf16 autocast on a GPU that has it, float32 elsewhere"""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|(cuda|mps|xpu)(:[0-9]{1,3})?)$")] = "auto"

    @classmethod
    def of(cls, params: Mapping[str, object]) -> Settings:
        """From a trial's parameters. Raises SpeechError, which names all that is unknown or impossible."""
        try:
            return cls.model_validate(dict(params))
        except ValidationError as error:
            wrong = dict.fromkeys(str(problem["loc"][0]) for problem in error.errors())
            raise SpeechError("; ".join(_problem(name, params[name]) for name in wrong)) from error


@dataclass(frozen=True)
class Bounds:
    """The values that a parameter takes: numbers between `low` and `high`, or one of `choices`."""

    kind: Literal["number", "integer", "choice", "text"]
    low: float | None = None
    high: float | None = None
    low_is_open: bool = False
    """Whether `low` itself is not allowed"""
    choices: tuple[str, ...] = ()
    optional: bool = False
    """Whether None is allowed"""

    @property
    def expected(self) -> str:
        """The same in words, for error messages."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        if self.kind == "text":
            return "auto, cpu, cuda or cuda:N"
        if self.high is not None:
            return f"a number from {self.low:g} to {self.high:g}"
        what = "a whole number" if self.kind == "integer" else "a number"
        return f"{what} above {self.low:g}" if self.low_is_open else f"{what}, {self.low:g} or above"


def bounds() -> Mapping[str, Bounds]:
    """The bounds of every parameter, by name."""
    return {name: _bounds(field.annotation, field.metadata) for name, field in Settings.model_fields.items()}


def _bounds(kind: Any, metadata: list[Any]) -> Bounds:
    arguments = get_args(kind)
    optional = type(None) in arguments
    if optional:
        kind, *inner = get_args(next(one for one in arguments if one is not type(None)))
        metadata = [*metadata, *inner]
    if kind is str and any(isinstance(one, AfterValidator) for one in metadata):
        return Bounds("choice", choices=tuple(PRESETS))
    if kind is str:
        return Bounds("text")
    if kind not in (int, float):
        return Bounds("choice", choices=get_args(kind))
    lows: list[Any] = [one.gt if isinstance(one, Gt) else one.ge for one in metadata if isinstance(one, Gt | Ge)]
    highs: list[Any] = [one.le for one in metadata if isinstance(one, Le)]
    return Bounds(
        "integer" if kind is int else "number",
        low=lows[0] if lows else None,
        high=highs[0] if highs else None,
        low_is_open=any(isinstance(one, Gt) for one in metadata),
        optional=optional,
    )


def _problem(name: str, value: object) -> str:
    if name in bounds():
        return f"{name} {value!r}: expected {bounds()[name].expected}"
    near = get_close_matches(name, bounds(), n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"unknown parameter {name}; {hint}known: {', '.join(sorted(bounds()))}"
