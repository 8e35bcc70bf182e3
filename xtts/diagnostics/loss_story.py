"""The three-digit-loss story compared with measurements: loss bands, signs of success, table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from xtts.diagnostics.curve_rules import diverged, loss_spikes
from xtts.diagnostics.finding import Epoch, epoch_number, number, series
from xtts.diagnostics.setting_rules import THREE_DIGITS


@dataclass(frozen=True, slots=True)
class Band:
    """A range that the story promises the printed loss in one part of training."""

    name: str
    low: float
    high: float


BANDS = (Band("early", 15, 30), Band("mid", 5, 15), Band("late", 2, 8), Band("converged", 0.5, 3))
"""The story's bands. It names no epochs; each is taken to mean one quarter of training, in order."""


@dataclass(frozen=True, slots=True)
class BandRow:
    """A band and the printed losses of its quarter of training (None where training was too short to have one)."""

    band: Band
    first_epoch: int | None
    last_epoch: int | None
    lowest: float | None
    highest: float | None

    @property
    def inside(self) -> bool | None:
        """Whether all losses of that quarter lie in the band; None where there are none."""
        if self.lowest is None or self.highest is None:
            return None
        return self.band.low <= self.lowest and self.highest <= self.band.high


@dataclass(frozen=True, slots=True)
class Signs:
    """The story's four signs of success, as measured."""

    digits: bool
    steady_fall: bool
    no_jumps: bool
    no_crash: bool


@dataclass(frozen=True, slots=True)
class StoryRow:
    """One config in the before-and-after table; None where the trainer did not report it."""

    loss_first: float | None
    loss_max: float | None
    objective: float | None
    zero_gradient_share: float | None


def measured_in_bands(epochs: Sequence[Epoch]) -> tuple[BandRow, ...]:
    """Each band with the lowest and highest epoch mean of the printed loss in its quarter of training."""
    printed = [
        (epoch_number(epochs, place), value)
        for place, epoch in enumerate(epochs)
        if (value := number(epoch, "loss")) is not None
    ]
    quarters: list[list[tuple[int, float]]] = [[] for _ in BANDS]
    for place, pair in enumerate(printed):
        quarters[place * len(BANDS) // len(printed)].append(pair)
    rows = []
    for band, quarter in zip(BANDS, quarters, strict=True):
        losses = [loss for _, loss in quarter]
        first, last = (quarter[0][0], quarter[-1][0]) if quarter else (None, None)
        rows.append(BandRow(band, first, last, min(losses, default=None), max(losses, default=None)))
    return tuple(rows)


def success_signs(epochs: Sequence[Epoch]) -> Signs:
    """Under three digits from the first step; a fall in three of four epochs and overall; no jump; no crash."""
    first = number(epochs[0], "loss_first") if epochs else None
    losses = series(epochs, "loss")
    falls = [later < earlier for earlier, later in pairwise(losses)]
    return Signs(
        digits=first is not None and first < THREE_DIGITS,
        steady_fall=bool(falls) and sum(falls) >= 0.75 * len(falls) and losses[-1] < losses[0],
        no_jumps=bool(losses) and loss_spikes(epochs) is None,
        no_crash=bool(epochs) and diverged(epochs) is None,
    )


def story_row(epochs: Sequence[Epoch]) -> StoryRow:
    """First printed loss, worst single step, best objective, and the share of steps that the loss clip zeroed."""
    shares = series(epochs, "train/loss_clip_fraction")
    return StoryRow(
        loss_first=number(epochs[0], "loss_first") if epochs else None,
        loss_max=max(series(epochs, "loss_max"), default=None),
        objective=min(series(epochs, "objective"), default=None),
        zero_gradient_share=math.fsum(shares) / len(shares) if shares else None,
    )
