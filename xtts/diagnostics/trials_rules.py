"""Findings about many training curves side by side: rules that look at the trials of one search."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xtts.diagnostics.curve_rules import STILL_FALLING, falling_rate
from xtts.diagnostics.finding import Epoch, Finding, Numbers, epoch_number, number, worst_first
from xtts.diagnostics.response_surface import FEWEST_TRIALS, hyperparameter_effects, hyperparameters_that_act_as_one

MARGIN_PERCENT = 1.0
EDGE_SHARE = 0.05
SAME_ORDER = 0.5
ALTERNATIVES = ("val/next", "val/free", "val/nll")


@dataclass(frozen=True)
class TrainedTrial:
    """One trial as the rules see it; `role` and `status` as in DESIGN.md section 5, `epochs` the metrics of each
    epoch."""

    trial_id: str
    role: str
    status: str
    params: Mapping[str, object]
    epochs: Sequence[Epoch]

    @property
    def best(self) -> float | None:
        """The best finite objective."""
        found = [value for epoch in self.epochs if (value := number(epoch, "objective")) is not None]
        return min(found, default=None)


def findings_over_trials(
    trials: Sequence[TrainedTrial],
    *,
    default_id: str | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    verdict: str | None = None,
) -> tuple[Finding, ...]:
    """All that the rules find in a search, worst first; controls, rivals and confirmation runs are left out.

    `bounds` are the ranges searched, by parameter; `verdict` is the confirmation's word, if there was one.
    """
    found = [
        default_as_good(trials, default_id, verdict),
        steps_are_the_limit(trials),
        batches_differ(trials),
        learning_rate_is_the_limit(trials, bounds or {}),
        *errors_rank_differently(trials),
        hyperparameters_act_as_one(trials, bounds or {}),
        *best_on_edge(trials, bounds or {}),
    ]
    return worst_first(finding for finding in found if finding is not None)


def best_on_edge(trials: Sequence[TrainedTrial], bounds: Mapping[str, tuple[float, float]]) -> tuple[Finding, ...]:
    """Parameters of the best trial that lie in the outer 5 % of their range (of its logarithm where that exists)."""
    best = _best(trials)
    found = []
    for name, (low, high) in bounds.items():
        value = None if best is None else number(best.params, name)
        if value is None or not low < high:
            continue
        share = math.log(value / low) / math.log(high / low) if min(low, value) > 0 else (value - low) / (high - low)
        if EDGE_SHARE < share < 1 - EDGE_SHARE:
            continue
        side = "lower" if share <= EDGE_SHARE else "upper"
        numbers: Numbers = {"name": name, "value": value, "side": side, "low": low, "high": high}
        found.append(Finding("best_on_edge", "note", numbers))
    return tuple(found)


def hyperparameters_act_as_one(
    trials: Sequence[TrainedTrial], bounds: Mapping[str, tuple[float, float]]
) -> Finding | None:
    """Hyperparameters whose ratio (or product) alone moves the objective, fitted on the trials' own objectives."""
    fit = _comparable(trials, FEWEST_TRIALS)
    shared = None if fit is None else hyperparameters_that_act_as_one(_columns(fit.trials, bounds), fit.logs)
    if fit is None or shared is None:
        return None
    numbers: Numbers = {
        "trials": len(fit.trials),
        "epoch": fit.epoch,
        "names": ", ".join(shared.names),
        "through": shared.through,
        "scaling": "apart" if shared.through == "product" else "together",
        "acts": math.expm1(shared.acts),
        "idle": math.expm1(shared.idle),
        "p": shared.p_idle,
    }
    return Finding("knobs_act_as_one", "note", numbers)


def learning_rate_not_tuned(own: float, best: float, effect_percent: float, gain_percent: float) -> Finding:
    """A learning rate that was not searched, at which the default gains more than the search found for it."""
    numbers: Numbers = {"own": own, "best": best, "effect": effect_percent / 100, "gain": gain_percent / 100}
    return Finding("learning_rate_not_tuned", "warning", numbers)


def learning_rate_is_the_limit(
    trials: Sequence[TrainedTrial], bounds: Mapping[str, tuple[float, float]]
) -> Finding | None:
    """A searched learning rate that clearly acts, and at least twice as much as any other hyperparameter."""
    fit, best = _comparable(trials, FEWEST_TRIALS), _best(trials)
    if fit is None or best is None:
        return None
    effects = {effect.name: effect for effect in hyperparameter_effects(_columns(fit.trials, bounds), fit.logs)}
    rate = effects.pop("learning_rate", None)
    value = number(best.params, "learning_rate")
    if rate is None or value is None or not effects or rate.p >= 0.01:
        return None
    other = max(effects.values(), key=lambda effect: effect.range)
    if rate.range < 2 * other.range:
        return None
    numbers: Numbers = {
        "trials": len(fit.trials),
        "epoch": fit.epoch,
        "acts": math.expm1(rate.range),
        "other": other.name,
        "others": math.expm1(other.range),
        "value": value,
    }
    return Finding("learning_rate_is_the_limit", "warning", numbers)


def steps_are_the_limit(trials: Sequence[TrainedTrial]) -> Finding | None:
    """Full-length trials (three or more) still improve by 1 % an epoch, and by more than the best beats the median."""
    full = [trial for trial in _searched(trials) if trial.status == "finished" and trial.best is not None]
    rates = [rate for trial in full if (rate := falling_rate(trial.epochs)) is not None]
    bests = [trial.best for trial in full if trial.best is not None]
    if len(rates) < 3 or min(bests) <= 0:
        return None
    rate, spread = statistics.median(rates), 1 - min(bests) / statistics.median(bests)
    if rate < STILL_FALLING or rate <= spread:
        return None
    return Finding("steps_are_the_limit", "warning", {"trials": len(rates), "rate": rate, "spread": spread})


def default_as_good(
    trials: Sequence[TrainedTrial], default_id: str | None, verdict: str | None = None
) -> Finding | None:
    """Confirmation found no difference or worse; or, without one, the best trial is within 1 % of the default."""
    if verdict in ("no difference", "worse"):
        return Finding("default_as_good_confirmed", "note", {"word": verdict})
    if verdict == "better":
        return None
    best = _best(trials)
    default = next((trial.best for trial in trials if trial.trial_id == default_id), None)
    if best is None or best.best is None or default is None or default <= 0:
        return None
    gain = 1 - best.best / default
    if gain * 100 >= MARGIN_PERCENT:
        return None
    count = sum(trial.best is not None for trial in _searched(trials))
    numbers: Numbers = {"trials": count, "best": best.best, "trial_id": best.trial_id, "gain": gain, "default": default}
    return Finding("default_as_good", "note", {**numbers, "margin": MARGIN_PERCENT})


def errors_rank_differently(trials: Sequence[TrainedTrial]) -> tuple[Finding, ...]:
    """Other errors that order five trials or more, at one epoch, with a rank correlation under .5 to the objective."""
    fit = _comparable(trials, 5)
    found = [] if fit is None else [_order(fit, metric) for metric in ALTERNATIVES]
    return tuple(finding for finding in found if finding is not None)


def _order(fit: _Comparable, metric: str) -> Finding | None:
    from scipy import stats

    pairs = [
        (value, log, trial.trial_id)
        for trial, epoch, log in zip(fit.trials, fit.epochs, fit.logs, strict=True)
        if (value := number(epoch, metric)) is not None
    ]
    values, logs = [value for value, _, _ in pairs], [log for _, log, _ in pairs]
    if len(pairs) < 5 or len(set(values)) == 1 or len(set(logs)) == 1:
        return None
    rho = float(stats.spearmanr(values, logs).statistic)
    if rho >= SAME_ORDER:
        return None
    _, log, trial_id = min(pairs)
    numbers: Numbers = {
        "metric": metric,
        "trials": len(pairs),
        "epoch": fit.epoch,
        "rho": rho,
        "trial_id": trial_id,
        "rank": 1 + sum(other < log for other in logs),
    }
    return Finding("errors_rank_differently", "warning", numbers)


def batches_differ(trials: Sequence[TrainedTrial]) -> Finding | None:
    """Trials began with different batch budgets, because their cards had different memory free."""
    sizes = [number(trial.epochs[0], "batch_frames") for trial in _searched(trials) if trial.epochs]
    known = {size for size in sizes if size is not None}
    if len(known) < 2:
        return None
    return Finding("batches_differ", "warning", {"smallest": min(known), "largest": max(known)})


@dataclass(frozen=True)
class _Comparable:
    """Trials with a finite objective at one epoch, that epoch's metrics, and the logarithms of these objectives."""

    epoch: int
    trials: tuple[TrainedTrial, ...]
    epochs: tuple[Epoch, ...]
    logs: tuple[float, ...]


def _comparable(trials: Sequence[TrainedTrial], fewest: int) -> _Comparable | None:
    """The latest epoch that enough trials reached (`fewest`, and six in ten), so that stopped ones are comparable."""
    searched = _searched(trials)
    reached: dict[int, list[tuple[TrainedTrial, Epoch, float]]] = {}
    for trial in searched:
        for place, epoch in enumerate(trial.epochs):
            value = number(epoch, "objective")
            if value is not None and value > 0:
                at = epoch_number(trial.epochs, place)
                reached.setdefault(at, []).append((trial, epoch, math.log(value)))
    enough = max(fewest, math.ceil(0.6 * len(searched)))
    usable = [epoch for epoch, rows in reached.items() if len(rows) >= enough]
    if not usable:
        return None
    chosen, epochs, logs = zip(*reached[max(usable)], strict=True)
    return _Comparable(max(usable), chosen, epochs, logs)


def _columns(trials: Sequence[TrainedTrial], bounds: Mapping[str, tuple[float, float]]) -> dict[str, list[float]]:
    columns = {name: [number(trial.params, name) for trial in trials] for name in bounds}
    return {
        name: [value for value in column if value is not None]
        for name, column in columns.items()
        if all(value is not None for value in column)
    }


def _searched(trials: Sequence[TrainedTrial]) -> list[TrainedTrial]:
    return [trial for trial in trials if trial.role == "trial"]


def _best(trials: Sequence[TrainedTrial]) -> TrainedTrial | None:
    ended = [(trial.best, place, trial) for place, trial in enumerate(_searched(trials)) if trial.best is not None]
    return min(ended, default=(None, 0, None))[2]
