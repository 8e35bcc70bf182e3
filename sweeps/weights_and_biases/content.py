"""What a trial's run holds in W&B: config, history rows and summary, all from the records. No wandb in here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from sweeps.convergence import ENDINGS, Curve
from sweeps.convergence_columns import convergence_columns
from sweeps.records import Event, TrialRecord

Ratio = tuple[str, str, str]
"""A name, a numerator and a denominator: two of a trial's parameters."""

CONVERGENCE = ("epochs_to_target", "speedup", "speedup_bound")
LONGEST_TAG = 64


def run_config(record: TrialRecord, shared: Mapping[str, object], ratios: Sequence[Ratio]) -> dict[str, object]:
    """All parameters, the search's own coordinates, the ratios that act, and what tells trials apart."""
    params = {**shared, **record.params}
    about = {"trial_id": record.trial_id, "role": record.role, "origin": record.origin, "seed": record.seed}
    return {**params, **_ratios(params, ratios), **record.coordinates, **about}


def run_name(record: TrialRecord) -> str:
    """The trial's id, with what a person would call it."""
    label = record.label or (record.origin if record.origin == "default" else "")
    return f"{record.trial_id} {label}".strip()


def run_tags(record: TrialRecord, space: str) -> list[str]:
    """Words to filter by."""
    return [tag[:LONGEST_TAG] for tag in (space, record.origin) if tag]


def history_row(report: Event) -> dict[str, float]:
    """The finite numbers of an epoch's report, under their own names."""
    return {
        name: value
        for name, value in report.items()
        if name != "time" and isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }


def run_summary(record: TrialRecord, default: TrialRecord | None) -> dict[str, object]:
    """The whole summary, flat: the last epoch's numbers, then the trial's own figures; what is not known is left out.

    It is complete in every session, because a later fragment of a run replaces the summary of an earlier one.
    """
    figures: dict[str, object] = {
        **history_row(record.last_report),
        "epochs": record.epochs,
        "objective": record.objective,
        "best_epoch": record.best_epoch,
        "status": record.status or "running",
        "stop_reason": record.stop_reason,
        "retries": record.retries,
        **_convergence(record, default),
    }
    return {name: value for name, value in figures.items() if value is not None}


def default_trial(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """The trial that all others are compared with: the default config, or the first of a space of controls."""
    searched = [record for record in records if record.role in ("trial", "control")]
    return next((record for record in searched if record.origin == "default"), next(iter(searched), None))


def _ratios(params: Mapping[str, object], ratios: Sequence[Ratio]) -> dict[str, float]:
    found = {}
    for name, numerator, denominator in ratios:
        top, bottom = params.get(numerator), params.get(denominator)
        if isinstance(top, (int, float)) and isinstance(bottom, (int, float)) and bottom:
            found[name] = top / bottom
    return found


def _convergence(record: TrialRecord, default: TrialRecord | None) -> dict[str, object]:
    if default is None or record.role not in ("trial", "control"):
        return {}
    error = record.last_report.get("mean_frame_error", default.last_report.get("mean_frame_error"))
    try:
        columns = convergence_columns(
            _curve(record), _curve(default), float(error) if isinstance(error, (int, float)) else None
        )
    except ValueError:  # a trainer whose updates do not rise has no curve
        return {}
    return {name: columns[name] for name in CONVERGENCE if columns.get(name) not in (None, "")}


def _curve(record: TrialRecord) -> Curve:
    return Curve.from_reports(record.reports, ENDINGS.get(record.status, "end"))
