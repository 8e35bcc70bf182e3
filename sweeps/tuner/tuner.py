"""The tuner: one process's work on a run, through its phases (search, confirm, close), from its first event to its last
file."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sweeps.backend.environment import THIS_MACHINE, Environment
from sweeps.backend.loop import WorkerConfig, run_loop
from sweeps.backend.loop_state import LoopState
from sweeps.common.errors import SweepFailed, reason_of
from sweeps.common.program import command
from sweeps.run.config import DATA_CHANGED, SweepConfig
from sweeps.run.diagnosis import note_findings
from sweeps.run.folder import RunFolder, read_sweep_yaml
from sweeps.run.logger import Loggers
from sweeps.run.progress import progress_of
from sweeps.run.resources import Resources
from sweeps.run.run import Run, SweepResult
from sweeps.storage.checkpoint_store import checkpoint_store_at
from sweeps.storage.mirror import mirrored
from sweeps.storage.retention import tidy_checkpoints
from sweeps.trainer import Trainer
from sweeps.trials.heartbeat import Heartbeat
from sweeps.trials.journal import Journal
from sweeps.trials.record import TrialRecord, searched
from sweeps.tuner.budget_reserve import room_for_a_trial
from sweeps.tuner.callbacks import Callbacks
from sweeps.tuner.closing import ClosePhase
from sweeps.tuner.confirmation_phase import ConfirmationPhase
from sweeps.tuner.open_trials import reopen, run_until_done
from sweeps.tuner.output_files import write_tables
from sweeps.tuner.search_phase import SearchPhase
from sweeps.tuner.signals import SignalHandler
from sweeps.tuner.trial_source import TrialSource

FILES_SHARE = 20  # the files take at most a twentieth of the driver's time
FEWEST_SECONDS = 1.0  # between two times that they are written


class Tuner:
    """Runs the trials that a run still needs, and leaves its folder whole however that ends.

    The order of things, everywhere: an event is in the journal, then it is decided on, then something acts on it.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: SweepConfig,
        resources: Resources,
        trainer: type[Trainer],
        callbacks: Callbacks,
        seconds_before: float = 0.0,
        *,
        searching: bool = True,
        environment: Environment = THIS_MACHINE,
    ) -> None:
        """`seconds_before` is the wall clock that earlier sessions used; `searching` is off for `confirm`."""
        self._folder = folder
        self._config = config
        self._resources = resources
        self._trainer = trainer
        self._callbacks = callbacks
        self._display = callbacks.display
        self._environment = environment
        self._searching = searching
        self._store = checkpoint_store_at(self._environment.checkpoints(folder))
        self._signals = SignalHandler(self._display.close, callbacks.patience, self._last_words)
        self._started = time.monotonic()
        self._seconds_before = seconds_before
        self._next_files = 0.0
        self._page_failed = False
        self._known: Run | None = None

    def run(self, first_event: str) -> SweepResult:
        """Search and confirm until nothing is left, time runs out or a signal comes; then close.

        Raises:
            SweepFailed: there is no result, or the journal cannot be written.
        """
        with self._opened(first_event) as loggers:
            try:
                ended, reason = self._train()
            except BaseException as error:
                self._failed(error, loggers)
                raise
            finally:
                self._display.close()
            return self._close(ended, reason, loggers)

    @contextmanager
    def _opened(self, first_event: str) -> Iterator[Loggers]:
        """The journal with its loggers and the signals, for the time of this session."""
        loggers = Loggers(self._callbacks.loggers, self._display.log)
        loggers.start(self._folder)
        log, stored = self._display.log, self._environment.stored
        with (
            mirrored(stored, self._folder, lambda: self._signals.reason is not None, log) as mirror,
            Journal(self._folder.trials_jsonl, mirror, loggers.on_event) as self._journal,
            self._signals.caught(),
        ):
            self._store.forget_half_written()
            if self._journal.torn:
                log(f"{self._folder.trials_jsonl.name}: its last line was torn and is removed")
            self._confirmation = ConfirmationPhase(
                self._config, self._trainer, self._journal, searching=self._searching
            )
            search = SearchPhase(
                self._config,
                self._journal,
                self._confirmation.rivals,
                self._has_room,
                self._trainer.default_params(),
            )
            self._search = search
            self._source = TrialSource(self._journal, search if self._searching else None, self._confirmation)
            self._journal.append(first_event, None, trials=self._config.trials, epochs=self._config.budget.epochs)
            changed = self._config.data_summary.get(DATA_CHANGED)
            if changed:
                self._journal.append("data_changed", None, detail=changed)
                log(str(changed))
            if first_event != "sweep_started":
                reopen(self._journal, self._config.budget.epochs, searching=self._searching)
            yield loggers

    def _train(self) -> tuple[str, str]:
        """How the trials ended, in a word and in a sentence."""
        if not self._source.work_left:
            return "finished", "all trials are done"
        from sweeps.backend.session import ray_session

        try:
            with ray_session(self._resources, self._signals.raising, leave=self._leaves_ray):
                self._signals.catch()  # once more: Ray has put its own handlers in their place
                if self._signals.reason is not None:
                    return "interrupted", self._signals.reason
                state = LoopState(self._journal, self._heartbeat, self._tidy)
                worker_config = WorkerConfig(self._folder, self._config, self._resources, self._environment)
                stopped = run_until_done(
                    lambda: run_loop(
                        state,
                        self._source,
                        worker_config,
                        on_step=self._step,
                        stop_reason=self._stop_reason,
                        leave=self._leaves_ray,
                    ),
                    self._journal,
                    self._source,
                )
        except (SweepFailed, KeyboardInterrupt):
            if self._signals.reason is None:
                raise
            return "interrupted", self._signals.reason
        if stopped is not None:
            return ("budget" if self._signals.reason is None else "interrupted"), stopped
        return "finished", self._all_done()

    def _leaves_ray(self) -> bool:
        """Whether Ray is killed rather than ended in good order, because the user waits for the prompt."""
        return self._callbacks.patience is not None and self._signals.reason is not None

    @property
    def _heartbeat(self) -> Heartbeat:
        """How long a trial may report nothing: longer where the trainer says so."""
        usual, silence = self._callbacks.heartbeat, self._trainer.longest_silence(self._config.budget.epochs)
        if silence is None:
            return usual
        return replace(usual, first=max(usual.first, silence), floor=max(usual.floor, silence))

    def _all_done(self) -> str:
        if not self._searching:
            return "all confirmation runs are done"
        if self._search.early_end is not None:
            return self._search.early_end.reason
        done = len(searched(self._journal.records))
        if done < self._config.trials and not self._has_room():
            return f"{done} of {self._config.trials} trials are done; the time left was kept to confirm the best"
        return f"all {done} trials are done"

    def _close(self, ended: str, reason: str, loggers: Loggers) -> SweepResult:
        """Write how it ended, then all files; a signal from now on leaves out what can be made again."""
        if self._signals.reason is not None:  # it came after the last trial: leave out the last files
            ended, reason = "interrupted", self._signals.reason
        closing = ClosePhase(self._callbacks, loggers, self._store, self._trainer, self._seconds)
        if ended == "budget":
            for record in self._journal.records:
                if record.status is None:
                    self._journal.end(record.trial_id, "budget", reason)
        journal, compared = self._journal, self._run.comparison
        closing.attempt("the verdict is not in trials.jsonl", lambda: self._confirmation.end(ended, compared))
        if ended != "interrupted":
            closing.attempt("no findings could be made", self._diagnose)
        about = {"reason": ended, "detail": reason, "seconds": round(self._seconds, 3)}
        closing.attempt("the end is not in trials.jsonl", lambda: journal.append("sweep_ended", None, **about))
        self._signals.catch()  # Ray may have replaced them when it ended, too
        self._signals.raise_from_now()
        try:
            if self._signals.reason is not None and ended != "interrupted":
                raise KeyboardInterrupt
            return closing.close(self._run, ended, reason)
        except KeyboardInterrupt:
            return closing.end(self._run, "interrupted", self._signals.reason or "interrupted")
        except SweepFailed:
            loggers.close(self._run)
            raise

    def _failed(self, error: BaseException, loggers: Loggers) -> None:
        with contextlib.suppress(SweepFailed):
            self._journal.append("sweep_ended", None, reason="failed", detail=str(error)[:500])
            self._write_files()
        loggers.close(self._run)

    def _last_words(self, reason: str) -> None:
        """Said where the close of an interrupted run takes too long: what is on disk is enough to resume."""
        self._display.close()
        print(f"{reason}: ended before its last files were written", file=sys.stderr)
        print(f"resume with  {command(f'resume {self._folder.in_command}')}", file=sys.stderr, flush=True)

    def _diagnose(self) -> None:
        note_findings(self._journal, tuple(self._journal.events), list(self._callbacks.diagnosis(self._run)))

    @property
    def _run(self) -> Run:
        """The run as it stands; the same value until the journal has one more event."""
        events = self._journal.events
        if self._known is None or len(self._known.events) != len(events):
            content = read_sweep_yaml(self._folder) if self._known is None else self._known.content
            records = self._journal.records
            self._known = Run(self._folder, self._config, self._resources, tuple(events), records, content)
        return self._known

    @property
    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started

    @property
    def _trials(self) -> int:
        return self._search.trials if self._searching else len(searched(self._journal.records))

    def _stop_reason(self) -> str | None:
        return self._signals.reason or self._config.budget.exhausted(self._seconds)

    def _has_room(self) -> bool:
        """Whether one more trial would leave time to confirm the best."""
        seconds, records = self._config.budget.seconds, self._journal.records
        return room_for_a_trial(
            records,
            seconds_left=None if seconds is None else seconds - self._seconds,
            epochs=self._config.budget.epochs,
            confirm_runs=self._confirmation.runs(records, self._trials),
            concurrent=self._environment.concurrent(self._resources),
        )

    def _step(self) -> None:
        """Show the progress, and write the files as often as they are worth it."""
        records = self._journal.records
        runs = self._confirmation.runs(records, self._trials)
        seconds, trials = self._seconds, self._trials
        self._display.update(progress_of(self._config, records, seconds, confirm_runs=runs, trials=trials))
        if time.monotonic() >= self._next_files:
            before = time.monotonic()
            self._write_files()
            cost = time.monotonic() - before
            self._next_files = time.monotonic() + max(FEWEST_SECONDS, FILES_SHARE * cost)

    def _write_files(self) -> None:
        """The files for people; a report that cannot be written ends no sweep, because it can be made again."""
        write_tables(self._run)
        try:
            self._callbacks.report(self._run)
        except SweepFailed:
            raise
        except Exception as error:
            if not self._page_failed:
                self._display.log(f"{self._folder.report.name} could not be written: {reason_of(error)}")
            self._page_failed = True

    def _tidy(self, record: TrialRecord) -> None:
        for trial_id in tidy_checkpoints(self._store, self._journal.records, record):
            self._trainer.drop_files(self._folder.trial(trial_id))
