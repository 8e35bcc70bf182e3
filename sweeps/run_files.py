"""The files that are made from a run's records: always the same from the same records, and never read back."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.best_config import write_best_config
from sweeps.budget import Budget
from sweeps.optuna_store import write_optuna_db
from sweeps.plan import Plan
from sweeps.progress import Progress
from sweeps.records import TrialRecord, best_record
from sweeps.report import Report, write_report
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


def write_running_files(
    folder: RunFolder, request: SweepRequest, records: Sequence[TrialRecord], report: Report = write_report
) -> None:
    """trials.csv, best_config.yaml and report.html, as often as there is something new; SweepFailed where one fails."""
    write_trials_csv(folder.trials_csv, records, request.columns)
    best = best_record(records)
    if best is not None:
        provenance = {"run": request.name, "space": request.space.name, "trials": len(records)}
        write_best_config(folder.best_config, best, request.shared_params, provenance)
    report(folder)


def write_end_files(
    folder: RunFolder, request: SweepRequest, records: Sequence[TrialRecord], report: Report = write_report
) -> None:
    """All files that are made from the records; SweepFailed where they cannot be written."""
    write_running_files(folder, request, records, report)
    write_optuna_db(folder.optuna_db, request.name, request.space, records)


def rewrite_files(run: Run, report: Report = write_report) -> None:
    """Make all files of a run again from its journal."""
    write_end_files(run.folder, run.request, run.records, report)
