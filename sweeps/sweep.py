"""Runs a sweep and resumes one: joins journal, proposer, rungs and Ray, and leaves a run folder behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from sweeps.best_config import write_best_config
from sweeps.budget import Budget
from sweeps.checkpoint import BEST, LAST, UnreadableCheckpointError, load_checkpoint
from sweeps.errors import RequestError, SweepFailed
from sweeps.journal import Journal, read_events
from sweeps.optuna_store import write_optuna_db
from sweeps.plan import Plan, make_plan, this_machine
from sweeps.progress import Display, Progress, QuietDisplay
from sweeps.proposer import Proposer
from sweeps.records import Event, TrialRecord, best_record, records_from_events
from sweeps.report import write_report
from sweeps.request import ETA, SweepRequest, raised, request_from_yaml, sweep_yaml
from sweeps.run_folder import RunFolder, new_run, read_sweep_yaml, write_sweep_yaml
from sweeps.rungs import RungCorrelation, Rungs, rung_correlation
from sweeps.space import check_limits
from sweeps.trainer import Trainer, known_params, load_trainer, unknown_params
from sweeps.trials_csv import write_trials_csv
from sweeps.watchdog import Watchdog

KEPT_CHECKPOINTS = 3
RETRIES = 1


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it."""

    folder: RunFolder
    request: SweepRequest
    plan: Plan
    events: Sequence[Event]
    records: Sequence[TrialRecord]

    @property
    def best(self) -> TrialRecord | None:
        """The best trial of the search."""
        return best_record(self.records)

    @property
    def seconds(self) -> float:
        """Wall clock that the run's sessions have used."""
        return seconds_used(self.events)


@dataclass(frozen=True)
class SweepResult:
    """What came out. `ended` is finished, budget or interrupted; `reason` says it in words."""

    folder: RunFolder
    records: Sequence[TrialRecord]
    best: TrialRecord | None
    ended: str
    reason: str
    seconds: float
    correlation: RungCorrelation
    notes: Sequence[str] = ()


Hook = Callable[[SweepResult], None]


def read_run(path: Path) -> Run:
    """A run from its folder, whether it has ended or not."""
    folder = RunFolder(path)
    if not folder.exists:
        raise RequestError(f"{path}: holds no run (there is no sweep.yaml)")
    request, plan = request_from_yaml(read_sweep_yaml(folder), path.parent, str(folder.sweep_yaml))
    events = read_events(folder.trials_jsonl) if folder.trials_jsonl.exists() else []
    return Run(folder, request, plan, events, records_from_events(events))


def plan_for(request: SweepRequest) -> Plan:
    """How the sweep would use this machine."""
    return make_plan(
        this_machine(),
        request.trials,
        concurrent=request.concurrent,
        cpus_per_trial=request.cpus_per_trial,
        gpus_per_trial=request.gpus_per_trial,
    )


def check(request: SweepRequest) -> type[Trainer]:
    """The trainer's class, after everything that can be wrong with a request was looked at."""
    check_limits(
        request.space, {**request.space.fixed, **request.set_params}, request.limits, allow_unsafe=request.allow_unsafe
    )
    searched = [name for name in request.set_params if name in request.columns]
    if searched:
        raise RequestError(f"--set {searched[0]}: space {request.space.name} searches it already")
    trainer = load_trainer(request.trainer)
    known = known_params(trainer)
    if known is not None:
        where = dict.fromkeys(request.space.knobs, f"space {request.space.name}")
        where |= dict.fromkeys(request.space.fixed, f"space {request.space.name}, set")
        where |= dict.fromkeys(request.set_params, "--set")
        problems = unknown_params(where, known)
        if problems:
            raise RequestError("; ".join(problems))
    return trainer


def run(
    request: SweepRequest,
    *,
    display: Display | None = None,
    on_end: Sequence[Hook] = (),
    watchdog: Watchdog | None = None,
) -> SweepResult:
    """Run a new sweep. RequestError before anything is written; SweepFailed where no result could be produced."""
    trainer = check(request)
    plan = plan_for(request)
    folder = new_run(request.output, request.name)
    with folder.locked():
        write_sweep_yaml(folder, sweep_yaml(request, plan))
        return _Session(folder, request, plan, trainer, display or QuietDisplay(), watchdog).run(
            "sweep_started", on_end
        )


def resume(
    path: Path,
    *,
    trials: int | None = None,
    budget_seconds: float | None = None,
    display: Display | None = None,
    on_end: Sequence[Hook] = (),
    watchdog: Watchdog | None = None,
) -> SweepResult:
    """Go on with a run from its journal and checkpoints; `trials` and `budget_seconds` may be raised."""
    found = read_run(path)
    request, folder = raised(found.request, trials, budget_seconds), found.folder
    if request.trials < len(_searched(found.records)):
        raise RequestError(f"--trials {request.trials}: {folder.name} has {len(_searched(found.records))} already")
    spent = request.budget.exhausted(trials=0, seconds=found.seconds)
    if spent is not None:
        raise RequestError(f"{folder.name}: {spent}; give it more with --budget")
    trainer = check(request)
    with folder.locked():
        if request != found.request:
            write_sweep_yaml(
                folder,
                {**read_sweep_yaml(folder), "trials": request.trials, "budget_seconds": request.budget.seconds},
            )
        session = _Session(folder, request, found.plan, trainer, display or QuietDisplay(), watchdog, found.seconds)
        return session.run("sweep_resumed", on_end)


def seconds_used(events: Sequence[Event]) -> float:
    """Wall clock of all sessions: each from its start to its last event; a clock set back counts as none."""
    total, first, last = 0.0, None, 0.0
    for event in events:
        moment = event.get("time")
        if not isinstance(moment, (int, float)):
            continue
        if event["event"] in ("sweep_started", "sweep_resumed"):
            total += 0.0 if first is None else max(last - first, 0.0)
            first = float(moment)
        last = float(moment)
    return total + (0.0 if first is None else max(last - first, 0.0))


def _searched(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [record for record in records if record.role in ("trial", "control")]


class _Session:
    """One process's time with a run: from its first event to the last file."""

    def __init__(
        self,
        folder: RunFolder,
        request: SweepRequest,
        plan: Plan,
        trainer: type[Trainer],
        display: Display,
        watchdog: Watchdog | None,
        seconds_before: float = 0.0,
    ) -> None:
        self._folder = folder
        self._request = request
        self._budget = Budget(request.trials, request.budget.epochs, request.budget.seconds)
        self._plan = plan
        self._trainer = trainer
        self._display = display
        self._watchdog = watchdog or Watchdog()
        self._started = time.monotonic()
        self._seconds_before = seconds_before
        self._next_files = 0.0
        self._interrupted: str | None = None
        self._notes: list[str] = []

    @property
    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started

    def run(self, first_event: str, on_end: Sequence[Hook]) -> SweepResult:
        with Journal(self._folder.trials_jsonl) as journal, self._signals():
            self._journal = journal
            if journal.torn:
                self._display.note(f"{self._folder.trials_jsonl.name}: its last line was torn and is removed")
            journal.append(first_event, None, trials=self._request.trials, epochs=self._budget.epochs)
            self._reopen(first_event)
            try:
                ended, reason = self._search()
            except BaseException as error:
                with contextlib.suppress(SweepFailed):
                    journal.append("sweep_ended", None, reason="failed", detail=str(error)[:500])
                    self._write_files()
                raise
            finally:
                self._display.close()
            if ended == "budget":
                for record in journal.records:
                    if record.status is None:
                        self._end(record, "budget", reason)
            journal.append("sweep_ended", None, reason=ended, detail=reason, seconds=round(self._seconds, 3))
            return self._result(ended, reason, on_end)

    def _reopen(self, first_event: str) -> None:
        """Close what was decided before the last session ended but not written, and reopen what ran out of budget."""
        if first_event == "sweep_started":
            return
        for record in self._journal.records:
            if record.status == "budget":
                self._journal.append("trial_retried", record.trial_id, epoch=record.epochs, reason="resumed")
        for record in self._journal.records:
            if record.status is not None:
                continue
            stopping = next((event for event in record.rungs if event.get("decision") == "stop"), None)
            if record.reports and record.last_report.get("objective") is None:
                self._end(record, "diverged", "the objective is not finite")
            elif stopping is not None:
                self._end(record, "stopped", "stopped at a rung", int(str(stopping["epoch"])))
            elif record.epochs >= self._budget.epochs:
                self._end(record, "finished", f"all {self._budget.epochs} epochs")

    def _end(self, record: TrialRecord, status: str, reason: str, rung: int | None = None) -> None:
        self._journal.append(
            "trial_ended", record.trial_id, status=status, stop_reason=reason, epoch=record.epochs, rung=rung
        )

    def _search(self) -> tuple[str, str]:
        if not self._work_left():
            return "finished", "all trials are done"
        from sweeps.model import preload
        from sweeps.ray_session import ray_session

        if not self._request.space.controls:
            threading.Thread(target=preload, daemon=True).start()
        with ray_session(self._plan, self._request.address), self._signals():  # Ray installs handlers of its own
            return self._tune()

    def _work_left(self) -> bool:
        records = _searched(self._journal.records)
        return len(records) < self._budget.trials or any(record.status is None for record in records)

    def _tune(self) -> tuple[str, str]:
        from ray import tune

        from sweeps.recorder import Recorder, Stopped
        from sweeps.scheduler import RungScheduler
        from sweeps.searcher import SweepSearcher
        from sweeps.trainable import TrialTrainable

        request, journal = self._request, self._journal
        rungs = Rungs(self._budget.epochs, self._budget.first_rung, ETA)
        rungs.restore(journal.records)
        scheduler = RungScheduler(
            rungs,
            self._budget.epochs,
            protected=self._protected,
            running_best=lambda trial_id: journal.record(trial_id).objective,
        )
        recorder = Recorder(
            journal,
            scheduler,
            self._watchdog,
            wants_stop=self._wants_stop,
            changed=self._changed,
            ended=self._tidy_checkpoints,
        )
        searcher = SweepSearcher(
            journal,
            Proposer(request.space, request.acting_limits, seed=request.seed, cohort=request.sobol_cohort),
            limits=request.limits,
            fixed=request.shared_params,
            controls=request.space.controls,
            seed=request.seed,
            trials=self._budget.trials,
            concurrent=self._plan.concurrent,
            describe=self._describe,
            on_error=recorder.fail,
        )
        try:
            tune.run(
                TrialTrainable,
                name=self._folder.ray.name,
                storage_path=str(self._folder.path.resolve()),
                num_samples=-1,
                search_alg=searcher,
                scheduler=scheduler,
                callbacks=[recorder],
                resources_per_trial={"cpu": self._plan.cpus_per_trial, "gpu": self._plan.gpus_per_trial},
                trial_dirname_creator=lambda trial: str(trial.config["trial_id"]),
                reuse_actors=True,
                max_failures=RETRIES,
                raise_on_failed_trial=False,
                verbose=0,
            )
        except Stopped as stopped:
            if stopped.error is not None:
                raise stopped.error from None
            if self._interrupted is not None:
                return "interrupted", self._interrupted
            return "budget", stopped.reason
        return "finished", f"all {len(_searched(journal.records))} trials are done"

    def _describe(self, record: TrialRecord) -> dict[str, Any]:
        return {
            "trial_id": record.trial_id,
            "params": {**self._request.shared_params, **record.params},
            "seed": record.seed,
            "trainer": self._request.trainer,
            "data": self._request.data,
            "threads": self._plan.threads,
            "checkpoints": str(self._folder.checkpoints.resolve()),
        }

    def _protected(self, trial_id: str) -> bool:
        record = self._journal.record(trial_id)
        return record.role != "trial" or record.origin == "default"

    def _wants_stop(self) -> str | None:
        if self._interrupted is not None:
            return self._interrupted
        return self._budget.exhausted(trials=0, seconds=self._seconds)

    def _progress(self) -> Progress:
        return Progress(
            tuple(self._journal.records),
            tuple(self._request.columns),
            self._budget,
            self._seconds,
            self._plan.concurrent,
        )

    def _changed(self) -> None:
        self._display.update(self._progress())
        if time.monotonic() >= self._next_files:
            before = time.monotonic()
            self._write_files()
            cost = time.monotonic() - before
            self._next_files = time.monotonic() + max(1.0, 20 * cost)

    def _write_files(self) -> None:
        records = self._journal.records
        write_trials_csv(self._folder.trials_csv, records, self._request.columns)
        best = best_record(records)
        if best is not None:
            provenance = {"run": self._request.name, "space": self._request.space.name, "trials": len(records)}
            write_best_config(self._folder.best_config, best, self._request.shared_params, provenance)

    def _tidy_checkpoints(self, record: TrialRecord) -> None:
        """Keep the best few trials' best checkpoint; an ended trial needs its last one no more."""
        ended = [r for r in self._journal.records if r.status is not None and r.role == "trial" and r.best is not None]
        kept = {r.trial_id for r in sorted(ended, key=lambda r: (r.objective or 0.0, r.trial_id))[:KEPT_CHECKPOINTS]}
        (self._folder.checkpoints / record.trial_id / LAST).unlink(missing_ok=True)
        for trial_id in {r.trial_id for r in ended} | {record.trial_id}:
            if trial_id not in kept:
                shutil.rmtree(self._folder.checkpoints / trial_id, ignore_errors=True)

    def _result(self, ended: str, reason: str, on_end: Sequence[Hook]) -> SweepResult:
        records = self._journal.records
        best = best_record(records)
        self._write_files()
        write_optuna_db(self._folder.optuna_db, self._request.name, self._request.space, records)
        correlation = rung_correlation(_searched(records), self._budget.first_rung)
        if ended != "interrupted":
            self._check_for_a_result(records, reason)
            if best is not None:
                self._export_best(best)
        result = SweepResult(self._folder, records, best, ended, reason, self._seconds, correlation, tuple(self._notes))
        write_report(self._folder.report, self._request.name, self._progress(), [reason, str(correlation)])
        for hook in on_end:
            hook(result)
        return result

    def _check_for_a_result(self, records: Sequence[TrialRecord], reason: str) -> None:
        if any(record.best is not None for record in records):
            return
        why = next((f"{r.trial_id} {r.status}: {r.stop_reason}" for r in records if r.status is not None), reason)
        raise SweepFailed(f"run {self._folder.name}: no trial has a finite objective ({why})")

    def _export_best(self, best: TrialRecord) -> None:
        path = self._folder.checkpoints / best.trial_id / BEST
        try:
            checkpoint = load_checkpoint(path)
        except (FileNotFoundError, UnreadableCheckpointError) as error:
            self._notes.append(f"best/ could not be written: {error}")
            return
        config = self._describe(best)
        trainer = self._trainer(config["params"], config["data"], config["seed"])
        export = getattr(trainer, "export_best", None)
        if export is None:
            return
        trainer.load_state_dict(checkpoint.state)
        temporary = self._folder.path / f".best.{os.getpid()}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        export(temporary)
        shutil.rmtree(self._folder.best, ignore_errors=True)
        temporary.rename(self._folder.best)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """The first Ctrl-C or SIGTERM ends the sweep with its state saved, the second one ends it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def interrupt(number: int, frame: FrameType | None) -> None:
            if self._interrupted is not None:
                self._display.close()
                os._exit(130)
            self._interrupted = f"interrupted by {signal.Signals(number).name}"

        caught = (signal.SIGINT, signal.SIGTERM)
        before: Mapping[signal.Signals, Any] = {number: signal.signal(number, interrupt) for number in caught}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
