"""Findings about one training curve: rules over a trial's epochs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from messages import text
from xtts.diagnostics.finding import Epoch, Finding, Numbers, epoch_number, mean, number, series, worst_first
from xtts.diagnostics.setting_rules import SETTING_RULES

SPIKE_TIMES = 3.0
FIRST_EPOCH_SPIKE_TIMES = 1.5
NO_SKILL = 0.05
LITTLE_SKILL = 0.10
LOW_LOSS = 3.0
VALUES_PER_PATCH = 320
COLLAPSED_NATS_PER_PATCH = 1.0
WORSENING = 0.02
STILL_FALLING = 0.01
EARLY_EPOCHS = 5
EARLY_SHARE = 1 / 3
"""Before these epochs, or this share of the planned length, a text that is not used yet is only a warning"""
EARLY_UPDATES = 250
"""Before these updates healthy runs too may be no better than the mean frame, or not use their text measurably"""
NO_RECONSTRUCTION = 0.9
"""A next-patch error above this share of the mean frame's is none even for a model that sees all that came before"""


Rule = Callable[[Sequence[Epoch], Mapping[str, object]], Finding | None]
"""Looks at a trial's epochs and at all the trainer's parameters, searched or not."""

RuleT = TypeVar("RuleT", bound=Rule)
TRIAL_RULES: list[Rule] = [*SETTING_RULES]
NO_PARAMS: Mapping[str, object] = {}
PLANNED_EPOCHS = "planned_epochs"
"""Among a trial's parameters: the full length of the training"""


def trial_rule(rule: RuleT) -> RuleT:
    """Register a rule; its sentences are under `findings` in the message catalogues."""
    TRIAL_RULES.append(rule)
    return rule


def trial_findings(epochs: Sequence[Epoch], params: Mapping[str, object]) -> tuple[Finding, ...]:
    """All that the rules find in one trial, worst first; `params` are all the trainer's parameters, searched or not."""
    found = [rule(epochs, params) for rule in TRIAL_RULES]
    return worst_first(finding for finding in found if finding is not None)


def summary(findings: Sequence[Finding], lang: str = "en") -> tuple[str, ...]:
    """Closing lines: one sentence a finding, worst first, without repeats."""
    return tuple(dict.fromkeys(finding.sentence(lang) for finding in worst_first(findings)))


def counted(findings_by_trial: Mapping[str, Sequence[Finding]], lang: str = "en") -> tuple[str, ...]:
    """Closing lines for many trials: 'loss spikes: 5 of 16 trials', the most frequent first."""
    codes = Counter(code for found in findings_by_trial.values() for code in dict.fromkeys(one.code for one in found))
    total = len(findings_by_trial)
    return tuple(
        text("findings.counted", lang, title=text(f"findings.{code}.title", lang), count=count, total=total)
        for code, count in codes.most_common()
    )


@trial_rule
def diverged(epochs: Sequence[Epoch], params: Mapping[str, object] = NO_PARAMS) -> Finding | None:
    """The last epoch's loss, gradient or objective is not finite."""
    if not epochs:
        return None
    last = epochs[-1]
    details = last.get("diverged")
    if isinstance(details, Mapping):
        log = {name: str(details.get(name, "unknown")) for name in ("step", "term", "value")}
    elif "objective" in last and number(last, "objective") is None:
        log = {"step": "unknown", "term": "objective", "value": "nan"}
    else:
        return None
    return Finding("diverged", "problem", {**log, "epoch": epoch_number(epochs, len(epochs) - 1)})


@trial_rule
def memory_ran_out(epochs: Sequence[Epoch], params: Mapping[str, object] = NO_PARAMS) -> Finding | None:
    """The GPU's memory ran out in some epoch, and the rest was trained, or evaluated, with half the batch."""
    del params
    for place, epoch in enumerate(epochs):
        noted = epoch.get("out_of_memory")
        if isinstance(noted, Mapping) and "step" in noted:
            frames, step = number(noted, "batch_frames"), number(noted, "step")
            numbers = {"frames": frames or 0.0, "step": step or 0.0, "epoch": epoch_number(epochs, place)}
            return Finding("memory_ran_out", "warning", numbers)
        if isinstance(noted, Mapping):
            return Finding("memory_ran_out_in_evaluation", "note", {"epoch": epoch_number(epochs, place)})
    return None


@trial_rule
def text_ignored(epochs: Sequence[Epoch], params: Mapping[str, object] = NO_PARAMS) -> Finding | None:
    """The last interval of `text_use` is not wholly above 0; in early epochs, where that is usual, a warning."""
    for epoch in reversed(epochs):
        use, low, high = (number(epoch, name) for name in ("text_use", "text_use_low", "text_use_high"))
        if use is not None and low is not None and high is not None:
            if low > 0:
                return None
            numbers = {"use": use, "low": low, "high": high}
            if _is_early(epochs):
                return Finding("text_not_used_yet", "note", numbers)
            reached = epoch_number(epochs, len(epochs) - 1)
            early = reached < max(EARLY_EPOCHS, EARLY_SHARE * (number(params, PLANNED_EPOCHS) or 0))
            return Finding("text_ignored", "warning" if early else "problem", numbers)
    return None


@trial_rule
def plateau_at_mean_frame(epochs: Sequence[Epoch], params: Mapping[str, object] = NO_PARAMS) -> Finding | None:
    """After two epochs or more the best objective is still within 5 % of the mean-frame error.

    In early updates that is usual; then the error with all of the past given must be near the mean frame's as well.
    """
    numbers, near = _skill(epochs), series(epochs, "val/mel")
    if numbers is None or numbers["skill"] >= NO_SKILL or len(epochs) < 2:
        return None
    if _is_early(epochs) and not (near and near[-1] >= NO_RECONSTRUCTION * numbers["frame"]):
        return None
    return Finding("plateau_at_mean_frame", "problem", {**numbers, "epochs": len(epochs)})


@trial_rule
def low_loss_not_learning(epochs: Sequence[Epoch], params: Mapping[str, object]) -> Finding | None:
    """A printed loss in the "converged" range (3 or less) while the objective beats the mean frame by under 10 %."""
    numbers, weight = _skill(epochs), number(params, "mel_loss_weight")
    if numbers is None or weight is None or len(epochs) < 2 or numbers["skill"] >= LITTLE_SKILL or _is_early(epochs):
        return None
    losses = series(epochs, "loss")
    if not losses or losses[-1] > LOW_LOSS:
        return None
    return Finding(
        "low_loss_not_learning", "problem", {"loss": losses[-1], "weight": weight, "skill": numbers["skill"]}
    )


@trial_rule
def kl_collapsed(epochs: Sequence[Epoch], params: Mapping[str, object]) -> Finding | None:
    """The latents carry less than a nat a patch: posterior collapse (Bowman et al. 2016)."""
    kls = series(epochs, "val/kl") or series(epochs, "train/kl")
    ratio = _mel_over_kl(params)
    if not kls or ratio is None or kls[-1] * VALUES_PER_PATCH >= COLLAPSED_NATS_PER_PATCH:
        return None
    return Finding("kl_collapsed", "problem", {"kl": kls[-1], "nats": kls[-1] * VALUES_PER_PATCH, "ratio": ratio})


@trial_rule
def prior_lags(epochs: Sequence[Epoch], params: Mapping[str, object]) -> Finding | None:
    """val/kl rises by 20 % or more and val/mel falls, while the objective gains nothing: the prior does not follow."""
    full = [
        (epoch_number(epochs, place), kl, mel, objective)
        for place, epoch in enumerate(epochs)
        if (kl := number(epoch, "val/kl")) is not None
        and (mel := number(epoch, "val/mel")) is not None
        and (objective := number(epoch, "objective")) is not None
    ]
    ratio = _mel_over_kl(params)
    if len(full) < 2 or ratio is None:
        return None
    at, kl_from, mel_from, from_objective = min(full, key=lambda row: row[1])
    _, kl_to, mel_to, to_objective = full[-1]
    if kl_to < 1.2 * kl_from or mel_to > 0.98 * mel_from or to_objective < 0.99 * from_objective:
        return None
    numbers: Numbers = {
        "epoch": at,
        "kl_from": kl_from,
        "kl_to": kl_to,
        "mel_from": mel_from,
        "mel_to": mel_to,
        "from_objective": from_objective,
        "to_objective": to_objective,
        "ratio": ratio,
    }
    return Finding("prior_lags", "warning", numbers)


@trial_rule
def loss_spikes(epochs: Sequence[Epoch], params: Mapping[str, object] = NO_PARAMS) -> Finding | None:
    """A single step's loss far above the usual: thrice the epoch's mean, in the first epoch 1.5 times its start."""
    spikes: list[Numbers] = []
    for place, epoch in enumerate(epochs):
        spike = number(epoch, "loss_max")
        usual = number(epoch, "loss" if place else "loss_first")
        if spike is None or usual is None or usual <= 0:
            continue
        if spike >= usual * (SPIKE_TIMES if place else FIRST_EPOCH_SPIKE_TIMES):
            spikes.append(
                {"spike": spike, "usual": usual, "times": spike / usual, "epoch": epoch_number(epochs, place)}
            )
    if not spikes:
        return None
    worst = max(spikes, key=lambda one: float(one["times"]))
    return Finding("loss_spikes", "warning", {**worst, "count": len(spikes), "epochs": len(epochs)})


@trial_rule
def worsened_after_best(epochs: Sequence[Epoch], params: Mapping[str, object] = NO_PARAMS) -> Finding | None:
    """The mean of the last epochs (three at most) after the best is 2 % or more above it, two epochs later or more."""
    finite = [(place, value) for place, epoch in enumerate(epochs) if (value := number(epoch, "objective")) is not None]
    if not finite:
        return None
    at, best = min(finite, key=lambda pair: pair[1])
    after = [value for place, value in finite if place > at]
    if len(after) < 2 or best <= 0:
        return None
    last = after[-3:]
    end = mean(last)
    if end / best - 1 < WORSENING:
        return None
    numbers = {"best": best, "epoch": epoch_number(epochs, at), "end": end, "worse": end / best - 1}
    return Finding("worsened_after_best", "warning", numbers)


@trial_rule
def still_falling(epochs: Sequence[Epoch], params: Mapping[str, object] = NO_PARAMS) -> Finding | None:
    """Over its last two epochs the objective fell by 1 % an epoch or more; a falling learning rate alone does that."""
    rate = falling_rate(epochs)
    if rate is None or rate < STILL_FALLING:
        return None
    last = epoch_number(epochs, len(epochs) - 1)
    cooldown, planned = number(params, "cooldown") or 0.0, number(params, PLANNED_EPOCHS) or last
    code = "falls_with_the_rate" if cooldown > 0 and last > (1 - cooldown) * planned else "still_falling"
    return Finding(code, "note", {"rate": rate, "epochs": last})


def falling_rate(epochs: Sequence[Epoch]) -> float | None:
    """The share that the objective lost an epoch over its last two; None with fewer than four epochs or a NaN tail."""
    if len(epochs) < 4:
        return None
    start, end = number(epochs[-3], "objective"), number(epochs[-1], "objective")
    if start is None or end is None or start <= 0 or end <= 0:
        return None
    return float(1 - (end / start) ** 0.5)


def _is_early(epochs: Sequence[Epoch]) -> bool:
    updates = series(epochs, "updates")
    return bool(updates) and updates[-1] < EARLY_UPDATES


def _skill(epochs: Sequence[Epoch]) -> dict[str, float] | None:
    frames, objectives = series(epochs, "mean_frame_error"), series(epochs, "objective")
    if not frames or not objectives or frames[-1] <= 0:
        return None
    best = min(objectives)
    return {"objective": best, "frame": frames[-1], "skill": 1 - best / frames[-1]}


def _mel_over_kl(params: Mapping[str, object]) -> float | None:
    mel, kl = number(params, "mel_loss_weight"), number(params, "kl_loss_weight")
    return None if mel is None or kl is None or kl <= 0 else mel / kl
