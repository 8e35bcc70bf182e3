"""One training run as its log shows it, and what follows from it: health, best evaluation, findings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from xtts.diagnostics.logged_curve import Curve, Floats
from xtts.prepare.text_fit import TextFit

JUDGED = ("objective", "mel", "mel_ce", "diffusion", "loss")
"""Terms that a run is judged by, the first that is there: weight-free ones before the total"""
TOO_SHORT, TOO_FEW_STEPS = 3, 10
"""Evaluations, and points of a training loss: with fewer of both a run is not judged"""


@dataclass(frozen=True)
class Checkpoint:
    """A weights file of the run; `step` and `epoch` as its name has them, `is_best`: the trainer's own choice."""

    path: str
    step: int | None = None
    epoch: int | None = None
    is_best: bool = False


CrashKind = Literal["error", "memory", "killed", "interrupted"]


@dataclass(frozen=True)
class Crash:
    """The error that ended the program, in its own words, and the file that it was printed to."""

    error: str
    kind: CrashKind
    file: str


@dataclass(frozen=True)
class Best:
    """The best evaluation: the judged curve's name, its value, and the weights file that is nearest."""

    name: str
    epoch: int
    step: int
    value: float
    file: str | None = None


@dataclass(frozen=True)
class LoggedRun:
    """Curves by name (see logged_tags), and what is known of the trainer's settings.

    `weighted`: whether the logged terms contain their weights; None if unknown. `mel_sd` and `mean_frame_error` (ln-mel
    units) describe the data set, where it was given. `mode`: whether a lower or a higher `val/objective` is better.
    `counts_from_zero`: the first logged epoch is 0, also where the log begins with a later one. `raw_mel`: whether the
    trainer's mel is un-normalised, where that is known. `folders`: those that a resumed run continues in, oldest first.
    `is_of_sweep`: a trial of this program, which deletes weights that it does not need. `usual`: mel weight and
    learning rate that the trainer is made for (logged_tags.Trainer). `rate`: the learning rate that the config names.
    `unread`: settings of the config that the trainer reads nowhere. `texts`: of the data set, where it was seen.
    """

    curves: Mapping[str, Curve]
    weights: Mapping[str, float] = field(default_factory=dict)
    weighted: bool | None = None
    clip: float | None = None
    checkpoints: tuple[Checkpoint, ...] = ()
    mel_sd: float | None = None
    mean_frame_error: float | None = None
    truncated: bool = False
    mode: str = "min"
    counts_from_zero: bool = False
    raw_mel: bool | None = None
    crash: Crash | None = None
    folders: tuple[str, ...] = ()
    is_of_sweep: bool = False
    usual: Mapping[str, float] = field(default_factory=dict)
    rate: float | None = None
    unread: Mapping[str, float] = field(default_factory=dict)
    texts: TextFit | None = None

    def raw(self, name: str) -> Curve | None:
        """A term without its weight; None if it is not logged, or if its weight is unknown."""
        curve, term = self.curves.get(name), name.partition("/")[2]
        if curve is None or not len(curve):
            return None
        if self.is_weighted and term in self.weights:
            return curve.scaled(1 / self.weights[term]) if self.weights[term] else None
        return curve

    @property
    def is_weighted(self) -> bool:
        """Whether logged terms contain their weights: as known, or as the total shows that is logged with them."""
        if self.weighted is not None:
            return self.weighted
        total = self.curves.get("train/loss")
        terms = {name: self.curves.get(f"train/{name}") for name in self.weights}
        known = {name: curve for name, curve in terms.items() if curve is not None and len(curve)}
        if total is None or not len(total) or not known:
            return False
        plain = sum(float(curve.values[0]) for curve in known.values())
        times = sum(self.weights[name] * float(curve.values[0]) for name, curve in known.items())
        first = float(total.values[0])
        return abs(plain - first) < abs(times - first)

    @property
    def training(self) -> tuple[str, Curve] | None:
        """The training curve that the run is judged by."""
        return self._judged("train")

    @property
    def validation(self) -> tuple[str, Curve] | None:
        """The validation curve that the run is judged by, without its weight where that is known."""
        return self._judged("val")

    @property
    def maximises(self) -> bool:
        """Whether a higher value of the judged validation curve is better; it is not a loss then."""
        return self.mode == "max" and self.validation is not None and self.validation[0] == "val/objective"

    @property
    def epochs(self) -> int:
        """Epochs in the log: its own count, else evaluations; 0 if neither is there."""
        counted, validation = self.curves.get("epoch"), self.validation
        if counted is not None and len(counted):
            return self._epoch_of(counted, float(counted.high.max()))
        return validation[1].count if validation else 0

    def epoch_at(self, step: float) -> int:
        """The epoch (from 1) of a step: from the logged epochs, else the evaluation's number."""
        counted, validation = self.curves.get("epoch"), self.validation
        if counted is not None and len(counted):
            place = int(np.searchsorted(counted.steps, step, side="right")) - 1
            return self._epoch_of(counted, float(counted.values[max(0, place)]))
        return int(np.searchsorted(validation[1].steps, step, side="right")) if validation else 0

    def _epoch_of(self, counted: Curve, value: float) -> int:
        """The epoch (from 1) of a logged one, which counts from 0 or from 1, or has parts as in Transformers."""
        if (counted.high % 1 != 0).any():
            return max(1, math.ceil(value))
        return max(1, int(value) + (self.counts_from_zero or float(counted.low.min()) < 1))

    @property
    def best(self) -> Best | None:
        """The lowest value of the judged validation curve, the highest where that is better; None without one."""
        if self.validation is None:
            return None
        name, curve = self.validation
        place = int(np.argmax(curve.values) if self.maximises else np.argmin(curve.values))
        step = int(curve.steps[place])
        epoch = self.epoch_at(step)
        return Best(name, epoch, step, float(curve.values[place]), self._file_near(place, epoch))

    def _file_near(self, place: int, epoch: int) -> str | None:
        """The weights file that is nearest to an evaluation, by the steps in the files' names."""
        evaluated = self._updates_at_evaluations()
        gap = float(np.median(np.diff(evaluated))) if len(evaluated) > 1 else math.inf
        at = float(evaluated[place])
        steps = [one for one in self.checkpoints if one.step is not None and abs(one.step - at) <= gap / 2]
        if steps:
            return min(steps, key=lambda one: abs((one.step or 0) - at)).path
        return next((one.path for one in self.checkpoints if one.step is None and one.epoch == epoch), None)

    def _updates_at_evaluations(self) -> Floats:
        """The steps of the evaluations; where these are logged by epoch, those of the training's log at their ends."""
        assert self.validation is not None
        evaluated, training = self.validation[1].steps, self.training
        count = len(evaluated)
        if training is None or count < 2 or evaluated[-1] > count or training[1].steps[-1] <= count:
            return evaluated
        return np.asarray(training[1].steps[-1] * np.arange(1, count + 1) / count)

    def _judged(self, split: str) -> tuple[str, Curve] | None:
        others = sorted(name.partition("/")[2] for name in self.curves if name.startswith(f"{split}/"))
        for term in dict.fromkeys((*JUDGED, *others)):
            curve = self.raw(f"{split}/{term}")
            if curve is not None:
                return f"{split}/{term}", curve
        return None
