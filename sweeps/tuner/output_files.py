"""The files that are made from a run's records: always the same from the same records, and never read back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from sweeps.common.budget import Budget
from sweeps.confirm.comparison import Comparison, judgement, recommended, write_verdict
from sweeps.report import Report, write_report
from sweeps.run.best_config import write_best_config
from sweeps.run.config import SweepConfig
from sweeps.run.folder import RunFolder
from sweeps.run.optuna_db import write_optuna_db
from sweeps.run.progress import Progress
from sweeps.run.resources import Resources
from sweeps.run.run import Run, searched
from sweeps.run.trials_csv import KnownLines, write_trials_csv
from sweeps.search.asha import RungCorrelation, rung_correlation
from sweeps.trials.journal import plain
from sweeps.trials.record import TrialRecord
from sweeps.tuner.late_page import LatePage

LATE_PAGE = 1000  # trials, from which on the page is made beside the driver's work: it takes seconds


class _Between:
    """What is kept of a run's files from one time to the next."""

    def __init__(self) -> None:
        self.lines = KnownLines()
        self.page = LatePage()


@lru_cache(maxsize=2)
def _between(path: Path) -> _Between:
    return _Between()


def progress_of(
    config: SweepConfig, resources: Resources, records: Sequence[TrialRecord], seconds: float, confirm_runs: int = 0
) -> Progress:
    """Where a run stands; `confirm_runs` are to be expected after the search."""
    budget = Budget(config.trials, config.budget.epochs, config.budget.seconds)
    return Progress(tuple(records), tuple(config.columns), budget, seconds, resources.concurrent, confirm_runs)


def correlation_of(config: SweepConfig, records: Sequence[TrialRecord]) -> RungCorrelation:
    """How well the first rung foretold the end."""
    return rung_correlation(searched(records), config.budget.first_rung)


def write_running_files(
    folder: RunFolder, config: SweepConfig, records: Sequence[TrialRecord], report: Report = write_report
) -> None:
    """trials.csv, best_config.yaml, verdict.json and report.html, as often as there is something new; SweepFailed where
    one fails. The page of very many trials comes later."""
    kept = _between(folder.path)
    _write_tables(folder, config, records, kept.lines)
    if len(records) > LATE_PAGE:
        kept.page.make(lambda: report(folder))
    else:
        report(folder)


def _write_tables(folder: RunFolder, config: SweepConfig, records: Sequence[TrialRecord], known: KnownLines) -> None:
    write_trials_csv(folder.trials_csv, records, config.columns, known)
    judged = judgement(records)
    best = recommended(records, judged)
    if best is not None:
        provenance: dict[str, object] = {
            "run": config.name,
            "space": config.space.name,
            "trials": len(searched(records)),
        }
        if judged is None:
            write_best_config(folder.best_config, best, config.shared_params, provenance)
        else:
            provenance["confirmation"] = _confirmation(judged)
            write_best_config(folder.best_config, best, config.shared_params, provenance, verdict=judged.verdict.word)
            write_verdict(folder.verdict, judged)


def write_end_files(
    folder: RunFolder, config: SweepConfig, records: Sequence[TrialRecord], report: Report = write_report
) -> None:
    """All files that are made from the records; SweepFailed where they cannot be written."""
    kept = _between(folder.path)
    kept.page.wait()
    _write_tables(folder, config, records, kept.lines)
    report(folder)
    write_optuna_db(folder.optuna_db, config.name, config.space, records, config.objective_mode)


def rewrite_files(run: Run, report: Report = write_report) -> None:
    """Make all files of a run again from its journal."""
    write_end_files(run.folder, run.config, run.records, report)


def _confirmation(judged: Comparison) -> dict[str, object]:
    verdict = judged.verdict
    return {
        "finalist": judged.finalist.trial_id,
        "default": judged.default.trial_id,
        "seeds": [pair.seed for pair in verdict.pairs],
        "difference_percent": plain(verdict.difference_percent),
        "interval_percent": plain(verdict.interval_percent),
    }
