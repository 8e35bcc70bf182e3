"""A trial's record as the curve that convergence and verdict are computed from: its objectives are costs."""

from __future__ import annotations

from sweeps.confirm.convergence import ENDINGS, Curve
from sweeps.trials.record import TrialRecord

CURVE = "curve"  # where a record keeps its curve: it never changes, and is asked for again and again


def learning_curve(record: TrialRecord) -> Curve:
    """The trial's curve, without a point where somebody's trainer counts its updates in a way that makes no curve."""
    known = record.__dict__.get(CURVE)
    if not isinstance(known, Curve):
        known = record.__dict__[CURVE] = _curve_of(record)
    return known


def _curve_of(record: TrialRecord) -> Curve:
    try:
        return Curve.from_reports(record.reports, ENDINGS[record.status], record.sign)
    except ValueError:
        return Curve((), ENDINGS[record.status])
