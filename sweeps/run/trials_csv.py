"""trials.csv: a row per trial for people and spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from sweeps.common.atomic_file import write_atomically
from sweeps.run.convergence_columns import compared_with, convergence_against
from sweeps.trials.event import Event
from sweeps.trials.objective import number
from sweeps.trials.record import TrialRecord

LEADING = ("trial_id", "role", "status", "stop_reason", "seed")
METRICS = {
    "val_next": "val/next",
    "text_use": "text_use",
    "loss_first": "loss_first",
    "loss_last": "loss_last",
    "loss_max": "loss_max",
    "clip_fraction": "train/clip_fraction",
    "loss_clip_fraction": "train/loss_clip_fraction",
    "grad_norm_p50": "train/grad_norm_p50",
    "kl_last": "train/kl",
}
CONVERGENCE = (
    "epochs_to_target",
    "epochs_to_75",
    "epochs_to_50",
    "audio_seconds_to_target",
    "seconds_to_target",
    "censored_at",
    "censor_reason",
    "speedup",
)
EXTRAS = (
    "origin",
    "label",
    "retries",
    "rung",
    "updates_to_target",
    "target_provisional",
    "speedup_bound",
    "common_epochs",
    "mean_objective",
    "default_mean_objective",
    "worsening",
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_trials_csv(path: Path, records: Sequence[TrialRecord], columns: Sequence[str]) -> None:
    """Replace trials.csv; `columns` are the searched names."""
    header = [
        *LEADING,
        *columns,
        "epochs",
        "objective",
        "best_epoch",
        *METRICS,
        *CONVERGENCE,
        "seconds",
        "slot",
        *EXTRAS,
    ]

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    default_of = compared_with(records)
    for record in records:
        row = _row(record, columns) | convergence_against(record, default_of(record))
        writer.writerow([_cell(row.get(name, "")) for name in header])
    write_atomically(path, text.getvalue())


def _row(record: TrialRecord, columns: Sequence[str]) -> dict[str, object]:
    known = {**record.coordinates, **record.params}
    row: dict[str, object] = {
        "trial_id": record.trial_id,
        "role": record.role,
        "status": record.status or "running",
        "stop_reason": record.stop_reason,
        "seed": record.seed,
        **{column: known.get(column) for column in columns},
        "epochs": record.epochs,
        "objective": record.objective,
        "best_epoch": record.best_epoch,
        **{column: _metric(record, column, metric) for column, metric in METRICS.items()},
        "seconds": record.last_report.get("seconds"),
        "slot": record.slot,
        "origin": record.origin,
        "label": record.label,
        "retries": record.retries,
        "rung": record.rung,
    }
    return row


def _metric(record: TrialRecord, column: str, metric: str) -> object:
    """`loss_first` and `loss_max` of the whole trial, evaluations at the best epoch, the rest from the last one."""
    if column == "loss_first":
        return record.reports[0].get(metric) if record.reports else None
    if column == "loss_max":
        values = (number(report.get(metric)) for report in record.reports)
        return max((value for value in values if value is not None), default=None)
    report: Event = record.best_report if column in ("val_next", "text_use") else record.last_report
    return report.get(metric)


def _cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return "'" + value
    return value
