"""One process's time with a run: from its first event to the last file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sweeps.backend.environment import Environment
from sweeps.backend.heartbeat import Heartbeat
from sweeps.common.budget import Budget
from sweeps.common.errors import SweepFailed
from sweeps.confirm.confirmation import CONFIRMATION, RIVAL, confirms
from sweeps.confirm.confirmation import ROLE as CONFIRM
from sweeps.run.config import DATA_CHANGED, ETA, SweepConfig
from sweeps.run.diagnosis import note_findings
from sweeps.run.folder import NEARLY_FULL_BYTES, RunFolder, read_sweep_yaml
from sweeps.run.progress import Progress, progress_of
from sweeps.run.resources import Resources
from sweeps.run.run import Run, SweepResult, searched
from sweeps.run.search_summary import search_summary
from sweeps.search.asha import Rungs, rung_correlation
from sweeps.search.gain import SearchEnd, SearchEnding, search_end
from sweeps.search.sampler import Sampler
from sweeps.storage.checkpoint_store import checkpoint_store_at
from sweeps.storage.disk_use import disk_estimate
from sweeps.storage.mirror import mirrored
from sweeps.storage.retention import Beside, export_best, tidy_checkpoints
from sweeps.trainer import Trainer
from sweeps.trials.journal import Journal
from sweeps.trials.record import TrialRecord, best_record, default_record
from sweeps.tuner.budget_reserve import room_for_a_trial
from sweeps.tuner.callbacks import Callbacks
from sweeps.tuner.confirmation_phase import ConfirmationPhase
from sweeps.tuner.output_files import write_optuna, write_tables
from sweeps.tuner.signals import SignalHandler

RETRIES = 1
MOST_IN_VAIN = 3  # of Ray's loops
FEW_TRIALS = 100  # optuna.db takes a twentieth of a second for each: more are not waited for after a Ctrl-C


class Session:
    """Runs the trials that a run still needs, and leaves its folder whole however that ends."""

    def __init__(
        self,
        folder: RunFolder,
        config: SweepConfig,
        resources: Resources,
        trainer: type[Trainer],
        surroundings: Callbacks,
        seconds_before: float = 0.0,
        *,
        searching: bool = True,
        place: Environment | None = None,
    ) -> None:
        self._folder = folder
        self._place = place or Environment()
        self._checkpoint_store = checkpoint_store_at(self._place.checkpoints(folder))
        self._config = config
        self._budget = Budget(config.trials, config.budget.epochs, config.budget.seconds)
        self._resources = resources
        self._trainer = trainer
        self._outside = surroundings
        self._display = surroundings.display
        self._started = time.monotonic()
        self._seconds_before = seconds_before
        self._page_failed = False
        self._next_files = 0.0
        self._known: Run | None = None
        self._interruption = SignalHandler(at_once=self._display.close)
        self._searching = searching
        self._confirming = ConfirmationPhase(config, trainer, searching=searching)
        self._search_end: SearchEnd | None = None
        self._search_ending = SearchEnding(
            config.space,
            config.acting_limits,
            percent=config.search.gain_percent,
            trials=config.trials,
            seed=config.seed,
        )

    @property
    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started

    @property
    def _interrupted(self) -> str | None:
        return self._interruption.reason

    def _was_interrupted(self) -> bool:
        return self._interrupted is not None

    def run(self, first_event: str) -> SweepResult:
        """Search until nothing is left to try, time runs out or somebody interrupts; SweepFailed without a result."""
        with (
            contextlib.closing(self._outside.recording(self._folder)) as self._recording,
            mirrored(self._place.stored, self._folder, self._was_interrupted, self._display.log) as mirror,
            Journal(self._folder.trials_jsonl, mirror) as journal,
            self._interruption.caught(),
        ):
            self._journal = journal
            self._checkpoint_store.forget_half_written()
            if journal.torn:
                self._display.log(f"{self._folder.trials_jsonl.name}: its last line was torn and is removed")
            needed = disk_estimate(
                self._config, self._resources, self._trainer.checkpoint_bytes(self._config.shared_params)
            )
            if self._folder.free_bytes() < needed.total + NEARLY_FULL_BYTES:
                free = self._folder.free_bytes() / 1e6
                self._display.log(f"{self._folder.path}: only {free:.0f} MB are free on this disk; needed: {needed}")
            self._confirming.begin(self._journal.events)
            self._search_end = search_end(self._journal.events, self._config.trials)
            journal.append(first_event, None, trials=self._config.trials, epochs=self._budget.epochs)
            changed = self._config.data_summary.get(DATA_CHANGED)
            if changed:
                journal.append("data_changed", None, detail=changed)
                self._display.log(str(changed))
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
            self._confirming.end(journal, self._journal.events, ended)
            if ended != "interrupted":
                self._diagnose()
            journal.append("sweep_ended", None, reason=ended, detail=reason, seconds=round(self._seconds, 3))
            self._interruption.raise_from_now()
            try:
                if self._interrupted is not None and ended != "interrupted":
                    raise KeyboardInterrupt
                return self._result(ended, reason)
            except KeyboardInterrupt:
                return self._cut_short()

    def _reopen(self, first_event: str) -> None:
        """Close what was decided before the last session ended but not written, and reopen what ran out of budget."""
        if first_event == "sweep_started":
            return
        for record in self._journal.records:
            if not self._searching and not confirms(record):
                continue
            crashed = record.status == "failed" and record.origin == CONFIRMATION and not self._searching
            if record.status == "budget" or crashed:
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
        from sweeps.backend.session import ray_session
        from sweeps.search.acquisition import preload

        meanwhile = None if self._config.space.controls else preload
        a_worker_each = self._resources.cpus_per_trial <= 1.0
        modules = (
            ("sweeps.backend.trainable", self._trainer.__module__, *self._trainer.worker_modules)
            if a_worker_each
            else ()
        )
        try:
            with ray_session(self._resources, meanwhile, lambda: not self._was_interrupted(), modules):
                self._interruption.catch()  # once more: Ray has put its own handlers in their place
                return self._tune() if self._interrupted is None else ("interrupted", self._interrupted)
        except SweepFailed:
            if self._interrupted is None:
                raise
            return "interrupted", self._interrupted

    def _work_left(self) -> bool:
        records = self._journal.records
        search = [record for record in records if not confirms(record)]
        trials = self._budget.trials if self._search_end is None else self._search_end.trials
        planned = trials + len(self._confirming.rivals)
        if self._searching and (len(search) < planned or any(record.status is None for record in search)):
            return True
        confirming = any(confirms(record) and record.status is None for record in records)
        confirmation = self._confirming.confirmation(self._journal.records)
        return confirming or (confirmation is not None and confirmation.has_more(self._journal.records))

    def _tune(self) -> tuple[str, str]:
        """Ray's loop, and another one where it ended before a trial that it gave up was handed out again.

        Where several loops in a row bring no report, the trials that are left have failed.
        """
        in_vain = 0
        while True:
            before, heard = [record.retries for record in self._journal.records], self._reports
            ended, reason = self._tune_once()
            left = [record for record in self._journal.records if record.status is None]
            left = [record for record in left if self._searching or confirms(record)]
            if ended != "finished" or not left or before == [record.retries for record in self._journal.records]:
                return ended, reason
            in_vain = in_vain + 1 if heard == self._reports else 0
            if in_vain == MOST_IN_VAIN:
                for record in left:
                    self._end(record, "failed", "its worker died again and again before it could train")
                return ended, reason

    @property
    def _reports(self) -> int:
        return sum(len(record.reports) for record in self._journal.records)

    def _tune_once(self) -> tuple[str, str]:
        from ray import tune

        from sweeps.backend.callback import ServersDied, Stopped, SweepCallback
        from sweeps.backend.ray_patches import quick_tune
        from sweeps.backend.scheduler import RungScheduler
        from sweeps.backend.search_algorithm import SearchAlgorithm
        from sweeps.backend.trainable import TrialTrainable

        config, journal = self._config, self._journal
        rungs = Rungs(self._budget.epochs, self._budget.first_rung, ETA)
        rungs.restore(journal.records)
        scheduler = RungScheduler(
            rungs,
            self._budget.epochs,
            protected=self._protected,
            record=journal.record,
            records=lambda: searched(journal.records),
            apart=lambda trial_id: journal.record(trial_id).role in (CONFIRM, RIVAL),
        )
        recorder = SweepCallback(
            journal,
            scheduler,
            self._heartbeat,
            wants_stop=self._wants_stop,
            changed=self._changed,
            ended=self._tidy,
            again=lambda record: searcher.hand_out_again(record),
            on_cluster=self._place.cluster is not None,
            options=config.search,
        )
        searcher = SearchAlgorithm(
            journal,
            Sampler(
                config.space,
                config.acting_limits,
                seed=config.seed,
                cohort=config.sobol_cohort,
                options=config.search,
            ),
            limits=config.limits,
            fixed=config.shared_params,
            controls=config.space.controls,
            seed=config.seed,
            trials=self._budget.trials,
            mode=config.objective_mode,
            concurrent=lambda: self._place.concurrent(self._resources),
            describe=self._describe,
            handed_out=recorder.expect,
            on_error=recorder.fail,
            searching=self._searching,
            has_room=self._has_room,
            is_over=self._is_over,
            rivals=self._confirming.rivals,
            confirmation=self._confirming.confirmation if config.confirm_seeds else None,
        )
        try:
            with quick_tune(on_this_machine=self._place.cluster is None):
                tune.run(
                    TrialTrainable,
                    name=self._folder.ray.name,
                    storage_path=str(self._folder.path.resolve()),
                    num_samples=-1,
                    search_alg=searcher,
                    scheduler=scheduler,
                    callbacks=[recorder],
                    resources_per_trial=tune.PlacementGroupFactory([self._trial_resources]),
                    trial_dirname_creator=lambda trial: str(trial.config["trial_id"]),
                    reuse_actors=True,
                    max_failures=RETRIES,
                    raise_on_failed_trial=False,
                    verbose=0,
                    _remote=False,  # by ray:// too: the searcher and the journal stay in this process
                )
        except ServersDied as died:
            raise SweepFailed(str(died)) from None
        except Stopped as stopped:
            if stopped.error is not None:
                raise stopped.error from None
            if self._interrupted is not None:
                return "interrupted", self._interrupted
            return "budget", stopped.reason
        except Exception as error:
            lost = None if self._place.cluster is None else self._place.cluster.lost()
            if lost is None:
                raise
            raise SweepFailed(lost) from error
        if not self._searching:
            return "finished", "all confirmation runs are done"
        if self._search_end is not None:
            return "finished", self._search_end.reason
        done = len(searched(journal.records))
        if done < config.trials and not self._has_room():
            return "finished", f"{done} of {config.trials} trials are done; the time left was kept to confirm the best"
        return "finished", f"all {done} trials are done"

    @property
    def _heartbeat(self) -> Heartbeat:
        """How long a trial may report nothing: longer where the trainer says so."""
        usual, silence = self._outside.heartbeat, self._trainer.longest_silence(self._budget.epochs)
        if silence is None:
            return usual
        return replace(usual, first=max(usual.first, silence), floor=max(usual.floor, silence))

    @property
    def _trial_resources(self) -> dict[str, float]:
        asked = {
            "CPU": self._resources.cpus_per_trial,
            "GPU": self._resources.gpus_per_trial,
            **self._place.trial_resources,
        }
        return {name: amount for name, amount in asked.items() if amount}

    def _has_room(self) -> bool:
        """Whether one more trial would leave time to confirm the best."""
        seconds, records = self._budget.seconds, self._journal.records
        return room_for_a_trial(
            records,
            seconds_left=None if seconds is None else seconds - self._seconds,
            epochs=self._budget.epochs,
            confirm_runs=self._confirming.runs(records),
            concurrent=self._place.concurrent(self._resources),
        )

    def _is_over(self) -> bool:
        """Whether more trials are hardly worth it; once said, it is in the journal and stays so."""
        if self._search_end is None:
            self._search_end = self._search_ending(searched(self._journal.records))
            if self._search_end is not None:
                self._journal.append("gain_unlikely", None, **asdict(self._search_end))
        return self._search_end is not None

    def _describe(self, record: TrialRecord) -> dict[str, Any]:
        return {
            "trial_id": record.trial_id,
            "params": {**self._config.shared_params, **record.params},
            "seed": record.seed,
            "trainer": self._config.loadable_trainer,
            "data": self._place.data(self._config),
            "threads": self._resources.threads,
            "checkpoints": self._place.checkpoints(self._folder),
            "known_epochs": record.epochs,
            "judged_at": self._budget.epochs if record.origin == CONFIRMATION else None,
            "epochs": self._budget.epochs,
            "attempt": record.attempts,
            "folder": None if self._place.cluster is not None else str(self._folder.trial(record.trial_id).resolve()),
        }

    def _protected(self, trial_id: str) -> bool:
        record = self._journal.record(trial_id)
        return record.role != "trial" or record.origin == "default"

    def _wants_stop(self) -> str | None:
        if self._interrupted is not None:
            return self._interrupted
        return self._budget.exhausted(trials=0, seconds=self._seconds)

    def _progress(self) -> Progress:
        records = self._journal.records
        return progress_of(self._config, self._resources, records, self._seconds, self._confirming.runs(records))

    def _changed(self) -> None:
        self._display.update(self._progress())
        if time.monotonic() >= self._next_files:
            before = time.monotonic()
            self._write_files()
            cost = time.monotonic() - before
            self._next_files = time.monotonic() + max(1.0, 20 * cost)

    @property
    def _run(self) -> Run:
        """The run as it stands; the same value until the journal has one more event."""
        events = self._journal.events
        if self._known is None or len(self._known.events) != len(events):
            content = read_sweep_yaml(self._folder)
            records = tuple(self._journal.records)
            self._known = Run(self._folder, self._config, self._resources, tuple(events), records, content)
        return self._known

    def _write_files(self) -> None:
        write_tables(self._run)
        self._page()

    def _page(self) -> None:
        """Write report.html; what goes wrong with it ends no sweep, because it can be made again from the records."""
        try:
            self._outside.report(self._run)
        except SweepFailed:
            raise
        except Exception as error:
            if not self._page_failed:
                self._display.log(f"{self._folder.report.name} could not be written: {error}")
            self._page_failed = True

    def _tidy(self, record: TrialRecord) -> None:
        tidy_checkpoints(self._checkpoint_store, self._journal.records, record)

    def _diagnose(self) -> None:
        """Write down what is found in the run; what goes wrong with that ends no sweep."""
        try:
            found = list(self._outside.diagnosis(self._run))
        except Exception as error:
            self._display.log(f"{self._folder.name}: no findings could be made: {error}")
            return
        note_findings(self._journal, tuple(self._journal.events), found)

    def _result(self, ended: str, reason: str) -> SweepResult:
        run = self._run
        records, judged, proven = run.records, run.comparison, run.recommended
        self._write_files()
        if ended != "interrupted" or len(records) <= FEW_TRIALS:
            write_optuna(run)
        notes: list[str | None] = []
        if ended != "interrupted":
            self._check_for_a_result(records, reason)
            if proven is not None:
                params = self._describe(proven)["params"]
                runs = () if judged is None else judged.proven_runs
                compared = self._beside(records, proven)
                data = self._config.data
                notes.append(
                    export_best(
                        self._folder, self._checkpoint_store, proven, self._trainer, params, data, runs, compared
                    )
                )
                self._page()  # once more: best/ holds samples to listen to now
        notes.append(self._recording.close())
        result = self._came_out(ended, reason, notes)
        for hook in self._outside.on_end:
            hook(result)
        return result

    def _cut_short(self) -> SweepResult:
        """Everything is in the journal: what was being made from it can be made again."""
        return self._came_out("interrupted", self._interrupted or "interrupted", [self._recording.close()])

    def _came_out(self, ended: str, reason: str, notes: Sequence[str | None]) -> SweepResult:
        records = self._journal.records
        return SweepResult(
            self._folder,
            records,
            best_record(records),
            ended,
            reason,
            self._seconds,
            rung_correlation(searched(records), self._budget.first_rung),
            tuple(note for note in notes if note),
            self._run.comparison,
            self._config.address,
            search=search_summary(self._config, records, self._journal.events),
        )

    def _beside(self, records: Sequence[TrialRecord], proven: TrialRecord) -> Beside | None:
        """Whom best/ is to be compared with: the default, or the search's best where the default is what is proven."""
        default, best = default_record(records), best_record(records)
        if default is not None and default.identity != proven.identity:
            return Beside("default", default, self._describe(default)["params"])
        if best is not None and best.identity != proven.identity:
            return Beside("best", best, self._describe(best)["params"])
        return None

    def _check_for_a_result(self, records: Sequence[TrialRecord], reason: str) -> None:
        if any(r.best is not None and r.status not in ("diverged", "failed") for r in records):
            return
        why = next((f"{r.trial_id} {r.status}: {r.stop_reason}" for r in records if r.status is not None), reason)
        raise SweepFailed(f"run {self._folder.name}: no trial came to a result ({why})")
