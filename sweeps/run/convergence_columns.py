"""What trials.csv says of each trial's convergence speed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from sweeps.confirm.confirmation_runs import judged_runs
from sweeps.confirm.convergence import Targets, crossings, mean_over_common_epochs, worsening_after_best
from sweeps.confirm.learning_curve import Curve, Moment, learning_curve, mean_frame_error
from sweeps.confirm.plan import CONFIRMATION
from sweeps.confirm.speed_up import speed_up
from sweeps.trials.record import TrialRecord, reference_record

_NOWHERE = Moment(math.nan, math.nan, math.nan, math.nan)


def convergence_by_trial(records: Sequence[TrialRecord]) -> dict[str, dict[str, object]]:
    """How fast each trial learned: the columns by trial id, against the default on the same split and seed.

    That is the search's default, and for a judged run of a confirmation the default's run with its seed.
    """
    default_of = compared_with(records)
    return {record.trial_id: convergence_against(record, default_of(record)) for record in records}


def compared_with(records: Sequence[TrialRecord]) -> Callable[[TrialRecord], TrialRecord | None]:
    """The run of the default that a trial's speed is measured against, as a function of the trial."""
    searched, (_, _, confirmed) = reference_record(records), judged_runs(records)
    return lambda record: confirmed.get(record.seed) if record.origin == CONFIRMATION else searched


def convergence_against(record: TrialRecord, default: TrialRecord | None) -> dict[str, object]:
    """How fast a trial learned, compared with a run of the default."""
    reference = None if default is None else learning_curve(default)
    columns = convergence_columns(
        learning_curve(record), reference, None if default is None else mean_frame_error([default])
    )
    means = {name: columns[name] for name in ("mean_objective", "default_mean_objective")}
    return {**columns, **{name: record.sign * cost for name, cost in means.items() if isinstance(cost, float)}}


def convergence_columns(curve: Curve, default: Curve | None, mean_frame: float | None) -> dict[str, float | str]:
    """One trial's cells by column name: numbers, or '' where there is none.

    `censored_at` is in epochs and belongs, like `censor_reason`, to the 90 % target. `speedup` is a number only where
    it is exact; otherwise `speedup_bound` holds 'at least 1.20' or the like. `target_provisional` is 'yes' where the
    crossing is. `mean_objective` and `default_mean_objective` are over the `common_epochs` whole epochs that both have;
    `worsening` is how far the curve ends above its best, as a share of it.
    """
    targets = Targets.between(mean_frame, default)
    half, three_quarters, crossing = crossings(curve, targets).values()
    speed = None if default is None else speed_up(curve, default, targets)
    at = crossing.at or _NOWHERE
    common = None if default is None else mean_over_common_epochs([curve, default])
    return {
        "epochs_to_target": _cell(at.epochs),
        "epochs_to_75": _cell((three_quarters.at or _NOWHERE).epochs),
        "epochs_to_50": _cell((half.at or _NOWHERE).epochs),
        "updates_to_target": _cell(at.updates),
        "audio_seconds_to_target": _cell(at.audio_seconds),
        "seconds_to_target": _cell(at.seconds),
        "target_provisional": "yes" if crossing.provisional else "",
        "censored_at": _cell((crossing.censored_at or _NOWHERE).epochs),
        "censor_reason": crossing.reason or "",
        "speedup": _cell(speed.value if speed else None),
        "speedup_bound": speed.bound if speed else "",
        "common_epochs": "" if common is None else len(common.epochs),
        "mean_objective": "" if common is None else common.means[0],
        "default_mean_objective": "" if common is None else common.means[1],
        "worsening": _cell(worsening_after_best(curve)),
    }


def _cell(value: float | None) -> float | str:
    return "" if value is None or not math.isfinite(value) else value
