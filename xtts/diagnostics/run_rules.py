"""Findings about one training run of any trainer, from the curves of its log."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import numpy as np

from xtts.diagnostics.finding import Finding, Numbers, worst_first
from xtts.diagnostics.logged_curve import Curve
from xtts.diagnostics.logged_file_rules import LOGGED_FILE_RULES
from xtts.diagnostics.logged_run import TOO_FEW_STEPS, TOO_SHORT, LoggedRun
from xtts.diagnostics.logged_setting_rules import LOGGED_SETTING_RULES
from xtts.diagnostics.setting_rules import USUAL_MEL_SD

State = Literal["healthy", "watch", "stop", "unknown"]
Rule = Callable[[LoggedRun], Finding | None]
RuleT = TypeVar("RuleT", bound=Rule)
RUN_RULES: list[Rule] = [*LOGGED_FILE_RULES, *LOGGED_SETTING_RULES]

SPIKE_TIMES = 3.0
RISING = 1.3
LEAST_TO_RISE = 13
FALLEN = 0.97
OVERFITTING = 0.03
SEVERE = 0.10
FLAT = 0.03
"""A last third that may have changed by this much or more is not called a plateau"""

EARLY_UPDATES, EARLY_EVALUATIONS = 1000, 20
"""With fewer of both a model may be no better than the mean frame: VITS, which learns a waveform, after 50 updates,
the built-in model after up to 230"""


def run_rule(rule: RuleT) -> RuleT:
    """Register a rule; its sentences are under `findings` in the message catalogues."""
    RUN_RULES.append(rule)
    return rule


def run_findings(run: LoggedRun) -> tuple[Finding, ...]:
    """All that the rules find in a run, worst first."""
    found = [rule(run) for rule in RUN_RULES]
    return worst_first(finding for finding in found if finding is not None)


def is_long_enough(run: LoggedRun) -> bool:
    """Whether there are three evaluations, or the losses of ten steps or epochs."""
    lengths = ((run.validation, TOO_SHORT), (run.training, TOO_FEW_STEPS))
    return any(judged is not None and len(judged[1]) >= least for judged, least in lengths)


def run_state(run: LoggedRun, findings: Sequence[Finding]) -> State:
    """stop with a problem, unknown with too little to judge, watch with a warning, else healthy."""
    severities = {finding.severity for finding in findings}
    if "problem" in severities:
        return "stop"
    if not is_long_enough(run):
        return "unknown"
    return "watch" if "warning" in severities else "healthy"


@run_rule
def too_little_logged(run: LoggedRun) -> Finding | None:
    """Neither three evaluations nor ten points of a training loss."""
    if is_long_enough(run):
        return None
    points = {split: len(judged[1]) if judged else 0 for split, judged in (("t", run.training), ("v", run.validation))}
    return Finding("too_little_logged", "note", {"points": points["t"], "evaluations": points["v"]})


@run_rule
def not_finite(run: LoggedRun) -> Finding | None:
    """A loss or a gradient norm that is NaN or infinite; a problem unless the run recovered from it."""
    first: tuple[int, str, Curve] | None = None
    for name, curve in run.curves.items():
        if curve.bad_steps and ("/" in name or name == "grad_norm"):
            step = curve.bad_steps[0]
            first = (step, name, curve) if first is None or step < first[0] else first
    if first is None:
        return None
    step, name, curve = first
    recovered = bool(len(curve)) and int((curve.steps > max(curve.bad_steps)).sum()) >= max(5, 2 * curve.bad_count)
    numbers: Numbers = {"term": name, "step": step, "epoch": run.epoch_at(step), "count": curve.bad_count}
    if recovered:
        return Finding("not_finite_recovered", "warning", numbers)
    return Finding("not_finite", "problem", numbers)


@run_rule
def loss_rises(run: LoggedRun) -> Finding | None:
    """The training loss ends 30 % or more above its lowest stretch and does not fall; validation is past its best.

    The first steps of an adversarial training rise so too: a dozen points or fewer say nothing.
    """
    if run.training is None:
        return None
    name, curve = run.training
    means = curve.blocks()
    if len(curve) < LEAST_TO_RISE or not np.isfinite(means).all():
        return None
    if run.validation is not None and len(run.validation[1]) >= TOO_SHORT and not run.maximises:
        values = run.validation[1].values
        if int(np.argmin(values)) >= 2 / 3 * len(values):
            return None
    lowest = int(np.argmin(means))
    low = means[lowest]
    if low <= 0 or lowest > len(means) - 3 or means[-2:].min() < RISING * low or means[-1] < 0.9 * means[-2]:
        return None
    step = int(curve.steps[round(lowest * len(curve) / len(means))])
    return Finding("loss_rises", "problem", {"term": name, "low": low, "end": means[-1], "step": step})


@run_rule
def not_learning(run: LoggedRun) -> Finding | None:
    """The training loss never fell by 3 %, which its noise would have shown."""
    if run.training is None or loss_rises(run) is not None:
        return None
    name, curve = run.training
    means = curve.blocks(10)
    if len(curve) < 10 or means[0] <= 0 or means[1:].min() < FALLEN * means[0]:
        return None
    if curve.noise() / math.sqrt(len(curve) / len(means)) > (1 - FALLEN) * means[0]:
        return None
    change = means[-1] / means[0] - 1
    return Finding("not_learning", "problem", {"term": name, "first": means[0], "end": means[-1], "change": change})


@run_rule
def no_better_than_mean_frame(run: LoggedRun) -> Finding | None:
    """The best validation mel error is not 5 % below that of always predicting the mean frame; early that is usual."""
    curve, frame = run.raw("val/mel"), run.mean_frame_error
    if curve is None or frame is None or len(curve) < 2 or frame <= 0:
        return None
    scale = 1.0 if _is_raw_mel(run) else (run.mel_sd or USUAL_MEL_SD)
    best = float(curve.values.min()) * scale
    skill = 1 - best / frame
    numbers: Numbers = {"best": best, "frame": frame, "skill": skill}
    if skill >= 0.05:
        return Finding("skill", "note", numbers)
    updates = max(
        (float(one.steps[-1]) for name, one in run.curves.items() if "train/" in name and len(one)), default=0
    )
    if updates < EARLY_UPDATES and len(curve) < EARLY_EVALUATIONS:
        return Finding("no_skill_yet", "note", {**numbers, "updates": int(updates)})
    return Finding("no_better_than_mean_frame", "problem", numbers)


@run_rule
def overfitting(run: LoggedRun) -> Finding | None:
    """Validation is worse than its best for three evaluations or more; over-fitting where training still falls."""
    if run.validation is None or run.maximises:
        return None
    name, curve = run.validation
    place = int(np.argmin(curve.values)) if len(curve) else 0
    after = curve.values[place + 1 :]
    if len(after) < 3 or curve.values[place] <= 0:
        return None
    # The lowest of many noisy values is low by luck: the end is compared with the lowest median of three.
    medians = np.median(np.lib.stride_tricks.sliding_window_view(curve.values, 3), axis=1)
    best, noise, end = float(medians.min()), curve.noise(), float(medians[-1])
    if end < best * (1 + OVERFITTING) or end < best + 2.5 * noise:
        return None
    step = int(curve.steps[place])
    training = run.training
    falls = training is not None and float(training[1].blocks()[-1]) < 0.99 * training[1].around(step)
    numbers: Numbers = {"term": name, "best": best, "epoch": run.epoch_at(step), "step": step, "end": end}
    numbers["worse"] = end / best - 1
    if training is None:
        return Finding("worse_after_best", "warning", numbers)
    code = "overfitting" if falls else "worse_after_best"
    return Finding(code, "problem" if end / best - 1 >= SEVERE else "warning", numbers)


@run_rule
def kl_vanished(run: LoggedRun) -> Finding | None:
    """The KL term ends near zero: below 1 % of its largest value, or below 0.001."""
    curve = run.raw("val/kl") or run.raw("train/kl")
    if curve is None or len(curve) < TOO_SHORT:
        return None
    end = float(curve.blocks(10)[-1])
    top = float(curve.values.max())
    if end >= 0.01 * top and end >= 0.001:
        return None
    return Finding("kl_vanished", "warning", {"kl": end, "top": top})


@run_rule
def step_spikes(run: LoggedRun) -> Finding | None:
    """Training steps whose loss is three times what is usual around them, after the first tenth."""
    if run.training is None:
        return None
    name, curve = run.training
    if len(curve) < 20:
        return None
    start = len(curve) // 10
    usual = np.array([np.median(curve.values[max(0, at - 10) : at + 11]) for at in range(start, len(curve))])
    times = curve.high[start:] / np.where(usual > 0, usual, np.inf)
    places = np.flatnonzero(times > SPIKE_TIMES)
    if not len(places):
        return None
    worst = int(places[np.argmax(times[places])])
    steps = ", ".join(str(int(step)) for step in curve.steps[start:][places[:3]])
    numbers: Numbers = {"term": name, "count": len(places), "steps": steps, "times": float(times[worst])}
    return Finding("step_spikes", "warning", numbers)


@run_rule
def trend(run: LoggedRun) -> Finding | None:
    """Whether the judged curve still improves: slope of its last third with an interval, or the start of a plateau."""
    judged = run.validation if run.validation and len(run.validation[1]) >= 6 else run.training
    if run.maximises and judged == run.validation:
        judged = run.training
    if judged is None or overfitting(run) or loss_rises(run) or not_learning(run):
        return None
    name, curve = judged
    slope, start = curve.slope(), curve.plateau_start()
    if slope is None:
        return None
    numbers: Numbers = {"term": name, "change": slope.change, "low": slope.low, "high": slope.high}
    if slope.low > FLAT:
        return Finding("rising_at_the_end", "warning" if len(curve) >= LEAST_TO_RISE else "note", numbers)
    if slope.high < 0 and slope.change < -0.005:
        return Finding("still_improving", "note", numbers)
    if start is not None and max(-slope.low, slope.high) < FLAT:
        share = float((curve.steps >= start).mean())
        return Finding("plateau", "warning" if share > 0.5 else "note", {**numbers, "step": start, "share": share})
    return Finding("trend_unclear", "note", numbers)


@run_rule
def validation_noisy(run: LoggedRun) -> Finding | None:
    """Single evaluations differ by more than the trend: how many to average for 1 %."""
    if run.validation is None or len(run.validation[1]) < 6:
        return None
    name, curve = run.validation
    noise, level = curve.noise(), float(np.median(curve.values[-max(3, len(curve) // 3) :]))
    slope = curve.slope()
    if level <= 0 or slope is None or noise / level < 0.01 or abs(slope.change) > 2 * noise / level:
        return None
    average = math.ceil((2 * noise / (0.01 * level)) ** 2)
    return Finding("validation_noisy", "note", {"term": name, "noise": noise / level, "average": average})


@run_rule
def no_validation(run: LoggedRun) -> Finding | None:
    """Without a validation loss, over-fitting and the best checkpoint cannot be judged."""
    return Finding("no_validation", "note") if run.validation is None and run.training is not None else None


@run_rule
def judged_by_total(run: LoggedRun) -> Finding | None:
    """The only validation loss is the total: no comparison across weights."""
    if run.validation is None or run.validation[0] != "val/loss":
        return None
    return Finding("judged_by_total", "note")


@run_rule
def best_evaluation(run: LoggedRun) -> Finding | None:
    """The best evaluation by the weight-free term, its weights file, and whether the trainer's own best differs."""
    best = run.best
    if best is None:
        return None
    numbers: Numbers = {"term": best.name, "value": best.value, "epoch": best.epoch, "step": best.step}
    own = [one for one in run.checkpoints if one.is_best and one.step is not None]
    if own and run.validation is not None and len(run.validation[1]) > 1:
        gap = float(np.median(np.diff(run.validation[1].steps)))
        newest = max(own, key=lambda one: one.step or 0)
        if newest.step is not None and abs(newest.step - best.step) > gap:
            return Finding("best_differs", "warning", {**numbers, "own": newest.path, "own_step": newest.step})
    if best.file:
        return Finding("best_checkpoint", "note", {**numbers, "file": best.file})
    return Finding("best_kept_by_sweep" if run.is_of_sweep else "best_without_file", "note", numbers)


def _is_raw_mel(run: LoggedRun) -> bool:
    if run.raw_mel is not None:
        return run.raw_mel
    mel = run.raw("train/mel") or run.raw("val/mel")
    return mel is not None and bool(len(mel)) and float(mel.values[0]) > 1.3
