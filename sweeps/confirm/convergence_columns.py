"""What trials.csv says of one trial's convergence speed."""

from __future__ import annotations

import math

from sweeps.confirm.convergence import (
    PERCENTS,
    Curve,
    Moment,
    Targets,
    convergence,
    mean_over_common_epochs,
    worsening_after_best,
)
from sweeps.confirm.speed_up import TARGET_PERCENT, speed_up

_NOWHERE = Moment(math.nan, math.nan, math.nan, math.nan)


def convergence_columns(curve: Curve, default: Curve | None, mean_frame_error: float | None) -> dict[str, float | str]:
    """One trial's cells by column name: numbers, or '' where there is none.

    `censored_at` is in epochs and belongs, like `censor_reason`, to the 90 % target. `speedup` is a number only where
    it is exact; otherwise `speedup_bound` holds 'at least 1.20' or the like. `target_provisional` is 'yes' where the
    crossing is. `mean_objective` and `default_mean_objective` are over the `common_epochs` whole epochs that both have;
    `worsening` is how far the curve ends above its best, as a share of it.
    """
    targets = Targets.between(mean_frame_error, default)
    found = convergence(curve, targets, PERCENTS)
    half, three_quarters, crossing = (found.to(percent) for percent in (50, 75, TARGET_PERCENT))
    speed = None if default is None else speed_up(curve, default, targets)
    at = crossing.at or _NOWHERE
    common = None if default is None else mean_over_common_epochs([curve, default])
    worsening = worsening_after_best(curve)
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
        "worsening": _cell(None if worsening is None else worsening.fraction),
    }


def _cell(value: float | None) -> float | str:
    return "" if value is None or not math.isfinite(value) else value
