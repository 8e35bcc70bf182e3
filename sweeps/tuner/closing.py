"""The close phase: everything that is made once the trials have ended. Each step may fail, and fails alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from sweeps.common.errors import SweepFailed, reason_of
from sweeps.run.logger import Loggers
from sweeps.run.run import Run, SweepResult
from sweeps.storage.checkpoint_store import CheckpointStore
from sweeps.storage.retention import Compared, export_best
from sweeps.trainer import Trainer
from sweeps.trials.record import TrialRecord, default_record
from sweeps.tuner.callbacks import Callbacks
from sweeps.tuner.output_files import end_files

FEW_TRIALS = 100  # optuna.db takes a twentieth of a second for each: more are not waited for after a Ctrl-C

Value = TypeVar("Value")


class ClosePhase:
    """Writes the files, exports the best, closes the loggers, and gives the result.

    The journal holds all that was trained before the first step, so no step may take the result away: what fails gives
    one line in the result's notes and can be made again (`report`, `resume`, `publish`).
    """

    def __init__(
        self, callbacks: Callbacks, loggers: Loggers, store: CheckpointStore, trainer: type[Trainer], seconds: float
    ) -> None:
        self._callbacks = callbacks
        self._loggers = loggers
        self._store = store
        self._trainer = trainer
        self._seconds = seconds
        self._notes: list[str] = []

    def close(self, run: Run, ended: str, reason: str) -> SweepResult:
        """Take all steps; SweepFailed where no trial has a result."""
        interrupted = ended == "interrupted"
        for name, write in end_files(run, self._callbacks.report).items():
            if name != run.folder.optuna_db.name or not interrupted or self._waits_for_optuna(run):
                self.attempt(f"{name} could not be written", write)
        if not interrupted:
            check_for_a_result(run, reason)
            if run.recommended is not None:
                self.attempt("best/ could not be written", lambda: self._export_best(run))
                # Once more: best/ holds samples to listen to now.
                self.attempt(f"{run.folder.report.name} could not be written", lambda: self._callbacks.report(run))
        result = self.end(run, ended, reason)
        for hook in self._callbacks.on_end:
            self.attempt("a hook failed", partial(hook, result))
        return result

    def end(self, run: Run, ended: str, reason: str) -> SweepResult:
        """Close the loggers; the result, with a line for each step that failed."""
        self._notes += self._loggers.close(run)
        reports = {record.trial_id: record.reports for record in run.records}
        self._notes += self._trainer.notes_on(run.config.data_summary, reports)
        return SweepResult(run, ended, reason, self._seconds, tuple(dict.fromkeys(self._notes)))

    def attempt(self, failed: str, step: Callable[[], Value]) -> Value | None:
        """What the step returns; where it raises, None and a line that says why."""
        try:
            return step()
        except Exception as error:
            self._notes.append(f"{failed}: {reason_of(error)}")
            return None

    def _waits_for_optuna(self, run: Run) -> bool:
        """After a Ctrl-C: a second to import Optuna is too long while the user waits for the prompt."""
        return few_to_wait_for(run) and (self._callbacks.patience is None or "optuna" in sys.modules)

    def _export_best(self, run: Run) -> None:
        best, compared = run.recommended, run.comparison
        if best is None:
            return
        note = export_best(
            run.folder,
            self._store,
            best,
            self._trainer,
            {**run.config.shared_params, **best.params},
            run.config.data,
            () if compared is None else compared.proven_runs,
            compared_with(run, best),
        )
        if note is not None:
            self._notes.append(note)


def few_to_wait_for(run: Run) -> bool:
    """Whether optuna.db is worth its time after a Ctrl-C: there is a report, and there are not very many trials."""
    return len(run.records) <= FEW_TRIALS and any(record.reports for record in run.records)


def compared_with(run: Run, best: TrialRecord) -> Compared | None:
    """What best/ is to be compared with: the default, or the search's best where the default is what is proven."""
    for who, record in (("default", default_record(run.records)), ("best", run.best)):
        if record is not None and record.identity != best.identity:
            return Compared(who, record, {**run.config.shared_params, **record.params})  # type: ignore[arg-type]
    return None


def check_for_a_result(run: Run, reason: str) -> None:
    """SweepFailed where no trial has a finite objective."""
    records: Sequence[TrialRecord] = run.records
    if any(r.best_epoch is not None and r.status not in ("diverged", "failed") for r in records):
        return
    why = next((f"{r.trial_id} {r.status}: {r.stop_reason}" for r in records if r.status is not None), reason)
    raise SweepFailed(f"run {run.folder.name}: no trial came to a result ({why})")
