"""What a trial can be set to. Known without torch: a command looks at it before anything heavy is imported."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from xtts.errors import SpeechError
from xtts.model.model_config import PRESETS

NORMALISATIONS = ("standard", "none")
SPLITS = ("validation", "test")
DEVICE = re.compile(r"auto|cpu|(cuda|mps|xpu)(:\d{1,3})?")
WEIGHTINGS = ("fixed", "sigma_vae", "balancer")


@dataclass(frozen=True)
class Settings:
    """Every parameter the trainer knows, with its default; numbers outside what makes sense are refused."""

    mel_loss_weight: float = 2.5
    kl_loss_weight: float = 1.0
    gradient_clip_norm: float | None = 0.5
    """None or 0: off"""
    learning_rate: float = 1e-3
    loss_value_clip: float | None = None
    """Largest raw batch-mean mel loss; above it the gradient is zero. None or 0: off"""
    mel_normalisation: str = "standard"
    model: str = "tiny"
    batch_frames: int = 0
    """Padded mel frames a batch; 0 takes the model's own"""
    warmup_updates: int = 30
    history_dropout: float = 0.3
    weight_decay: float = 0.01
    adam_epsilon: float = 1e-8
    weighting: str = "fixed"
    """fixed; or a rival that finds the KL weight by itself: sigma_vae (kl_loss_weight is not used), balancer"""
    evaluate_on: str = "validation"
    """The split of the objective and all figures: validation; or test, which only a confirmation opens"""
    precision: str = "auto"
    """auto: bf16 autocast on a GPU, float32 on a CPU; float32; float64"""
    device: str = "auto"

    def __post_init__(self) -> None:
        problems = []
        for name in ("mel_loss_weight", "kl_loss_weight", "learning_rate", "adam_epsilon"):
            if not _number(getattr(self, name)) or not 0.0 < getattr(self, name) < math.inf:
                problems.append(f"{name} {getattr(self, name)!r}: expected a number above 0")
        for name in ("gradient_clip_norm", "loss_value_clip", "weight_decay"):
            value = getattr(self, name)
            if value is not None and (not _number(value) or not 0.0 <= value < math.inf):
                problems.append(f"{name} {value!r}: expected a number, 0 or above")
        for name in ("batch_frames", "warmup_updates"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
                problems.append(f"{name} {value!r}: expected a whole number, 0 or above")
        if not _number(self.history_dropout) or not 0.0 <= self.history_dropout <= 1.0:
            problems.append(f"history_dropout {self.history_dropout!r}: expected a number from 0 to 1")
        for name, known in (
            ("mel_normalisation", NORMALISATIONS),
            ("model", tuple(PRESETS)),
            ("weighting", WEIGHTINGS),
            ("evaluate_on", SPLITS),
            ("precision", ("auto", "float32", "float64")),
        ):
            if getattr(self, name) not in known:
                problems.append(f"{name} {getattr(self, name)!r}: expected one of {', '.join(known)}")
        if not isinstance(self.device, str) or not DEVICE.fullmatch(self.device):
            problems.append(f"device {self.device!r}: expected auto, cpu, cuda or cuda:N")
        if problems:
            raise SpeechError("; ".join(problems))

    @classmethod
    def of(cls, params: Mapping[str, object]) -> Settings:
        """From a trial's parameters; SpeechError names the unknown and the impossible."""
        known = {field.name for field in fields(cls)}
        unknown = [name for name in params if name not in known]
        if unknown:
            raise SpeechError(f"unknown parameter {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        return cls(**params)  # type: ignore[arg-type]


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
