"""A trial's W&B run as plain values: config, history rows and summary, from the records, without wandb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.run.convergence_columns import compared_with, convergence_against
from sweeps.trials.event import Event
from sweeps.trials.objective import number
from sweeps.trials.record import TrialRecord

Ratio = tuple[str, str, str]
"""A name, a numerator and a denominator: two of a trial's parameters."""

CONVERGENCE = ("epochs_to_target", "speedup", "speedup_bound")
LONGEST_TAG = 64


def run_config(record: TrialRecord, shared: Mapping[str, object], ratios: Sequence[Ratio]) -> dict[str, object]:
    """All parameters, the search's own coordinates, the ratios that act, and what identifies the trial."""
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


def history_row(report: Event) -> dict[str, Any]:
    """The finite numbers of an epoch's report, under their own names."""
    return {name: value for name, value in report.items() if name != "time" and number(value) is not None}


def run_summary(record: TrialRecord, records: Sequence[TrialRecord]) -> dict[str, object]:
    """The whole summary, flat: the last epoch's numbers, then the trial's own figures; what is not known is left out.

    `records` are all of the run: how fast a trial was is measured against one of them. It is complete in every session,
    because a later fragment of a run replaces the summary of an earlier one.
    """
    figures: dict[str, object] = {
        **history_row(record.last_report),
        "epochs": record.epochs,
        "objective": record.objective,
        "best_epoch": record.best_epoch,
        "status": record.status or "running",
        "stop_reason": record.stop_reason,
        "retries": record.retries,
    }
    convergence = convergence_against(record, compared_with(records)(record))
    figures |= {name: convergence[name] for name in CONVERGENCE if convergence[name] != ""}
    return {name: value for name, value in figures.items() if value is not None}


def _ratios(params: Mapping[str, object], ratios: Sequence[Ratio]) -> dict[str, float]:
    found = {}
    for name, numerator, denominator in ratios:
        top, bottom = params.get(numerator), params.get(denominator)
        if isinstance(top, (int, float)) and isinstance(bottom, (int, float)) and bottom:
            found[name] = top / bottom
    return found
