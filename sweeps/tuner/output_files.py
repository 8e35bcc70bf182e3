"""The files that are made from a run's records: always the same from the same records, and never read back."""

from __future__ import annotations

from collections.abc import Callable

from sweeps.confirm.comparison import Comparison, write_verdict
from sweeps.confirm.verdict_text import sentence
from sweeps.report import Report, write_report
from sweeps.run.best_config import write_best_config
from sweeps.run.config import DATA_CHANGED
from sweeps.run.optuna_db import write_optuna_db
from sweeps.run.run import Run
from sweeps.run.search_summary import memory_used
from sweeps.run.trials_csv import write_trials_csv
from sweeps.trials.journal import plain
from sweeps.trials.record import searched


def write_tables(run: Run) -> None:
    """trials.csv, best_config.yaml and verdict.json; SweepFailed where one cannot be written."""
    write_trials_csv(run.folder.trials_csv, run.records, run.config.columns)
    best, compared = run.recommended, run.comparison
    if best is None:
        return
    provenance: dict[str, object] = {
        "run": run.config.name,
        "space": run.config.space.name,
        "trials": len(searched(run.records)),
    }
    if compared is None:
        write_best_config(run.folder.best_config, best, run.config.shared_params, provenance)
        return
    provenance["confirmation"] = _confirmation(compared)
    word = compared.verdict.word
    write_best_config(run.folder.best_config, best, run.config.shared_params, provenance, verdict=word)
    changed = run.config.data_summary.get(DATA_CHANGED)
    more: dict[str, object] = {"data_changed": changed} if changed else {}
    memory = memory_used(run.config, searched(run.records))
    if memory is not None:
        more["memory"] = memory.verdict_fields()
        more["sentence"] = f"{sentence(compared.verdict)} Memory: {memory.text('en')}."
    write_verdict(run.folder.verdict, compared, more)


def write_optuna(run: Run) -> None:
    """optuna.db; SweepFailed where it cannot be written."""
    write_optuna_db(run.folder.optuna_db, run.config.name, run.config.space, run.records, run.config.objective_mode)


def end_files(run: Run, report: Report = write_report) -> dict[str, Callable[[], object]]:
    """What writes each file of a run that has ended, by the file's name: each may fail alone."""
    return {
        f"{run.folder.trials_csv.name}, {run.folder.best_config.name}": lambda: write_tables(run),
        run.folder.report.name: lambda: report(run),
        run.folder.optuna_db.name: lambda: write_optuna(run),
    }


def rewrite_files(run: Run, report: Report = write_report) -> None:
    """Make all files of a run again from its journal; the first error is raised."""
    for write in end_files(run, report).values():
        write()


def _confirmation(compared: Comparison) -> dict[str, object]:
    verdict = compared.verdict
    return {
        "finalist": compared.finalist.trial_id,
        "default": compared.default.trial_id,
        "seeds": [pair.seed for pair in verdict.pairs],
        "difference_percent": plain(verdict.difference_percent),
        "interval_percent": plain(verdict.interval_percent),
    }
