"""A trial's record as the curve that convergence and verdict are computed from: its objectives are costs."""

from __future__ import annotations

from collections.abc import Iterable

from sweeps.confirm.convergence import ENDINGS, Curve
from sweeps.trials.objective import number
from sweeps.trials.record import TrialRecord

CURVE = "curve"  # where a record keeps its curve: it never changes, and is asked for again and again


def learning_curve(record: TrialRecord) -> Curve:
    """The trial's curve, without a point where its trainer counts updates in a way that makes no curve."""
    known = record.__dict__.get(CURVE)
    if not isinstance(known, Curve):
        known = record.__dict__[CURVE] = _curve_of(record)
    return known


def mean_frame_error(records: Iterable[TrialRecord]) -> float | None:
    """The error of always predicting the mean frame, as a cost: the first that is reported; None where none is."""
    for record in records:
        for report in record.reports:
            error = number(report.get("mean_frame_error"))
            if error is not None:
                return record.sign * error
    return None


def _curve_of(record: TrialRecord) -> Curve:
    ended = ENDINGS.get(record.status, "failed")
    try:
        return Curve.from_reports(record.reports, ended, record.sign)
    except ValueError:
        return Curve((), ended)
