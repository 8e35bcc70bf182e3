"""The files that are made from a run's records: always the same from the same records, and never read back."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.best_config import write_best_config
from sweeps.budget import Budget
from sweeps.optuna_store import write_optuna_db
from sweeps.plan import Plan
from sweeps.progress import Progress
from sweeps.records import TrialRecord, best_record
from sweeps.report import write_report
from sweeps.request import SweepRequest
from sweeps.run_folder import RunFolder
from sweeps.run_record import Run, searched
from sweeps.rungs import RungCorrelation, rung_correlation
from sweeps.trials_csv import write_trials_csv


def progress_of(request: SweepRequest, plan: Plan, records: Sequence[TrialRecord], seconds: float) -> Progress:
    """Where a run stands."""
    budget = Budget(request.trials, request.budget.epochs, request.budget.seconds)
    return Progress(tuple(records), tuple(request.columns), budget, seconds, plan.concurrent)


def correlation_of(request: SweepRequest, records: Sequence[TrialRecord]) -> RungCorrelation:
    """How well the first rung foretold the end."""
    return rung_correlation(searched(records), request.budget.first_rung)


def write_running_files(folder: RunFolder, request: SweepRequest, records: Sequence[TrialRecord]) -> None:
    """trials.csv and best_config.yaml, as often as there is something new; SweepFailed where they cannot be written."""
    write_trials_csv(folder.trials_csv, records, request.columns)
    best = best_record(records)
    if best is not None:
        provenance = {"run": request.name, "space": request.space.name, "trials": len(records)}
        write_best_config(folder.best_config, best, request.shared_params, provenance)


def write_end_files(folder: RunFolder, request: SweepRequest, progress: Progress, reason: str) -> None:
    """All files that are made from the records; SweepFailed where they cannot be written."""
    records = progress.records
    write_running_files(folder, request, records)
    write_optuna_db(folder.optuna_db, request.name, request.space, records)
    lines = [line for line in (reason, str(correlation_of(request, records))) if line]
    write_report(folder.report, request.name, progress, lines)


def rewrite_files(run: Run) -> None:
    """Make all files of a run again from its journal."""
    progress = progress_of(run.request, run.plan, run.records, run.seconds)
    ends = [str(event.get("detail", "")) for event in run.events if event["event"] == "sweep_ended"]
    write_end_files(run.folder, run.request, progress, ends[-1] if ends else "")
