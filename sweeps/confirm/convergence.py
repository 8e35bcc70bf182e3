"""How fast a trial learns: when its objective crosses three targets that the default config sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sweeps.confirm.learning_curve import END_EVALUATIONS, START, Curve, Evaluation, Moment

PERCENTS = (50, 75, 90)
"""The targets, in per cent of the way from the mean-frame error to the default's end."""

BEFORE_FIRST = "before the first evaluation"

_HOLDING_EVALUATIONS = 2


@dataclass(frozen=True, slots=True)
class Targets:
    """The objectives to reach, between the mean-frame error and the default's end; or why there are none."""

    mean_frame_error: float
    default_end: float
    undefined: str | None = None

    @classmethod
    def between(cls, mean_frame_error: float | None, defaults: Curve | Sequence[Curve] | None) -> Targets:
        """Targets from the default's curve, or from the mean end of several seeds' curves (those that did not
        diverge)."""
        error = math.nan if mean_frame_error is None else float(mean_frame_error)
        curves = [defaults] if isinstance(defaults, Curve) else list(defaults or ())
        usable = [curve.end for curve in curves if curve.ended not in ("failed", "running") and curve.end < math.inf]
        end = math.fsum(usable) / len(usable) if usable else math.nan
        return cls(error, end, _why_undefined(error, end, curves))

    def objective_at(self, percent: int) -> float | None:
        """The objective that stands `percent` of the way to the default's end; None where targets are undefined."""
        if self.undefined is not None:
            return None
        return self.mean_frame_error + percent / 100 * (self.default_end - self.mean_frame_error)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where one target was reached (`at`), or within which bound (`censored`, `censored_at`, `reason`), never a guess.

    `left`: already reached at `censored_at`, the first evaluation; `right`: not reached until `censored_at`, the last
    one. `provisional`: the next two evaluations do not both stay at or under the target, or are not there.
    """

    percent: int
    target: float | None
    at: Moment | None
    censored: Literal["left", "right"] | None
    censored_at: Moment | None
    reason: str | None
    provisional: bool


def crossings(curve: Curve, targets: Targets) -> dict[int, Crossing]:
    """When `curve` reaches each target, by its per cent."""
    return {percent: crossing_at(curve, targets, percent) for percent in PERCENTS}


def crossing_at(curve: Curve, targets: Targets, percent: int) -> Crossing:
    """When `curve` reaches the target at `percent`."""
    target = targets.objective_at(percent)
    if target is None:
        return Crossing(percent, None, None, None, None, targets.undefined, False)
    return crossing_of(curve, target, percent)


def crossing_of(curve: Curve, target: float, percent: int = 90) -> Crossing:
    """Where the running best of `curve` first stands at or under `target`.

    Between the two evaluations around the crossing the running best is taken as linear in log(updates). Epochs,
    seconds of speech and seconds of training are read at that same point, linearly in updates: between two evaluations
    they grow with the updates. Evaluations that are not finite are passed over: they neither improve the running best
    nor hold a crossing.
    """
    best: float | None = None
    before: Evaluation | None = None
    for index, evaluation in enumerate(curve.evaluations):
        if not math.isfinite(evaluation.objective):
            continue
        if evaluation.objective > target:
            best = evaluation.objective if best is None else min(best, evaluation.objective)
            before = evaluation
            continue
        provisional = not _is_held(curve.evaluations[index + 1 :], target)
        if best is None or before is None:
            return Crossing(percent, target, None, "left", evaluation.moment, BEFORE_FIRST, provisional)
        at = _interpolate(before, best, evaluation, target)
        return Crossing(percent, target, at, None, None, None, provisional)
    last = curve.finite[-1].moment if curve.finite else START
    return Crossing(percent, target, None, "right", last, curve.ended, False)


@dataclass(frozen=True, slots=True)
class CommonMean:
    """Mean objectives over the whole epochs that every curve has; `epochs` says which."""

    means: tuple[float, ...]
    epochs: tuple[int, ...]


def mean_over_common_epochs(curves: Sequence[Curve]) -> CommonMean | None:
    """Each curve's mean objective over the whole epochs that all of them have (finite); None if there is none."""
    by_epoch = [{one.epoch: one.objective for one in curve.finite if one.epoch == int(one.epoch)} for curve in curves]
    if not by_epoch:
        return None
    common = sorted(set.intersection(*(set(values) for values in by_epoch)))
    if not common:
        return None
    means = tuple(math.fsum(values[epoch] for epoch in common) / len(common) for values in by_epoch)
    return CommonMean(means, tuple(int(epoch) for epoch in common))


def worsening_after_best(curve: Curve) -> float | None:
    """How far the curve ends above its best, as a share of it: the end is the mean of up to three evaluations after the
    best one, and 0 is said where there are none; None without a finite evaluation."""
    finite = curve.finite
    if not finite:
        return None
    index = min(range(len(finite)), key=lambda position: finite[position].objective)
    best = finite[index].objective
    after = [evaluation.objective for evaluation in finite[index + 1 :]][-END_EVALUATIONS:]
    lost = math.fsum(after) / len(after) - best if after else 0.0
    return lost / abs(best) if best else (math.inf if lost else 0.0)


def _why_undefined(error: float, end: float, curves: Sequence[Curve]) -> str | None:
    if not math.isfinite(error):
        return "the mean-frame error is not known"
    if not curves or not any(curve.evaluations for curve in curves):
        return "the default has no evaluation"
    if not math.isfinite(end):
        reasons = {"running": "has not finished", "failed": "failed"}
        return f"the default {reasons.get(curves[0].ended, 'diverged')}"
    if end >= error:
        return f"the default ends at {end:.4g}, no better than the mean frame's {error:.4g}"
    return None


def _is_held(following: Sequence[Evaluation], target: float) -> bool:
    holding = following[:_HOLDING_EVALUATIONS]
    return len(holding) == _HOLDING_EVALUATIONS and all(evaluation.objective <= target for evaluation in holding)


def _interpolate(before: Evaluation, best: float, after: Evaluation, target: float) -> Moment:
    # `best` is the running best up to `before`, whose own objective may be worse: what crosses is the running best.
    share = min(max((best - target) / (best - after.objective), 0.0), 1.0)
    updates = after.updates if share == 1.0 else before.updates * (after.updates / before.updates) ** share
    updates = min(max(updates, before.updates), after.updates)
    along = (updates - before.updates) / (after.updates - before.updates)

    def between(start: float, stop: float) -> float:
        return stop if along == 1.0 else start + along * (stop - start)

    return Moment(
        updates=updates,
        epochs=between(before.epoch, after.epoch),
        audio_seconds=between(before.audio_seconds, after.audio_seconds),
        seconds=between(before.seconds, after.seconds),
    )
