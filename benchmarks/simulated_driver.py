"""The sweep's driver without Ray: its searcher, scheduler, recorder and journal put together as a session does it, on a
simulated clock on which their processor time passes too, with stopwatches on each."""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

import sweeps.backend.callback
import sweeps.trials.journal
from benchmarks.cluster_model import Cluster, ModelConfig
from benchmarks.search_functions import EPOCHS, LEVELS
from benchmarks.soak import resident
from sweeps.backend.heartbeat import Heartbeat
from sweeps.backend.scheduler import RungScheduler
from sweeps.backend.search_algorithm import SearchAlgorithm
from sweeps.common.budget import Budget, duration
from sweeps.run.config import ETA, SweepConfig, sweep_yaml
from sweeps.run.folder import RunFolder, new_run, write_sweep_yaml
from sweeps.run.progress import LineDisplay
from sweeps.run.resources import Resources
from sweeps.run.run import searched
from sweeps.search.acquisition import preload
from sweeps.search.asha import Rungs
from sweeps.search.options import SearchOptions
from sweeps.search.sampler import Sampler
from sweeps.space.space import space_from_mapping
from sweeps.storage.checkpoint_store import checkpoint_store_at
from sweeps.storage.retention import tidy_checkpoints
from sweeps.trials.journal import Journal
from sweeps.trials.record import Event
from sweeps.tuner.budget_reserve import room_for_a_trial
from sweeps.tuner.output_files import LATE_PAGE, progress_of, write_running_files
from sweeps.tuner.tuner import RETRIES
from xtts_sweep.integration import write_page

DAY = 86_400.0
REAL_WRITES = 10  # of the files, in a whole run
PARTS = ("searcher", "scheduler", "journal", "recorder", "progress lines", "checkpoints", "files")
REPORT = {
    "frames_per_batch": 374.61538461538464,
    "padding_fraction": 0.017669840245279955,
    "loss": 1.312421608888186,
    "loss_first": 2.4793589115142822,
    "loss_last": 0.8429776430130005,
    "loss_max": 2.5747599601745605,
    "train/mel": 0.49684176995204044,
    "train/kl": 0.07031718377883618,
    "train/mel_weight": 2.5,
    "train/kl_weight": 1.0,
    "train/grad_norm_p50": 0.946590781211853,
    "train/grad_norm_p95": 1.468638253211975,
    "train/clip_fraction": 1.0,
    "train/loss_clip_fraction": 0.0,
    "val/next": 0.4860406894282112,
    "val/free": 0.49711602640166125,
    "val/nll": 0.5786741632202166,
    "val/mel": 0.30748027755117174,
    "val/kl": 0.06487131449773806,
    "skill": 0.3043246001484369,
    "mean_frame_error": 1.0,
    "text_use": 0.03180215265782704,
    "text_use_low": 0.01606258964773265,
    "text_use_high": 0.0479435110095223,
}


class Clock:
    """Stands in for the module `time` where the sweep asks what time it is; everything else is the module's."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        """Seconds, from an arbitrary day on."""
        return 20_000 * DAY + self.now

    def monotonic(self) -> float:
        """Seconds since the sweep began."""
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class Stopwatch:
    """Processor seconds by part, each without the parts inside of it, and seconds of waiting for the disk."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.disk: list[float] = []
        self._inner = [0.0]

    @contextlib.contextmanager
    def on(self, part: str) -> Iterator[None]:
        """Count this block for `part`."""
        self._inner.append(0.0)
        began = time.thread_time()
        try:
            yield
        finally:
            spent = time.thread_time() - began
            self.seconds[part] += spent - self._inner.pop()
            self._inner[-1] += spent

    def call(self, part: str, function: Any, *given: Any, **named: Any) -> Any:
        """The function's answer, its time counted for `part`."""
        with self.on(part):
            return function(*given, **named)


class TimedJournal(Journal):
    """The journal, which tells how long it took."""

    def __init__(self, path: Path, watch: Stopwatch) -> None:
        super().__init__(path)
        self._watch = watch

    def append(self, event: str, trial_id: str | None, /, **details: object) -> Event:
        """Write one event."""
        wall, processor = time.perf_counter(), time.thread_time()
        with self._watch.on("journal"):
            given = super().append(event, trial_id, **details)
        wall, processor = time.perf_counter() - wall, time.thread_time() - processor
        self._watch.disk.append(max(wall - processor, 0.0))
        return given


@dataclass
class Tenth:
    """What was seen while a tenth of the trials ended; decisions in processor seconds."""

    reports: list[float] = field(default_factory=list)
    configs: list[float] = field(default_factory=list)
    files: list[float] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    resident: int = 0


class SweepDriver:
    """The sweep's own parts as sweeps/session.py puts them together, asked by a simulated cluster."""

    def __init__(
        self, request: SweepConfig, plan: Resources, folder: RunFolder, clock: Clock, ray_seconds: float
    ) -> None:
        self.watch = Stopwatch()
        self.journal = TimedJournal(folder.trials_jsonl, self.watch)
        self.tenths = [Tenth()]
        self._path = folder.trials_jsonl
        self.journal_bytes = 0
        self._request, self._plan, self._folder, self._clock = request, plan, folder, clock
        self.ray_seconds = ray_seconds
        self._next_files = self._files_cost = self._extra = 0.0
        self._files_due = 1
        self._ended = 0
        self._display = LineDisplay()
        self._trials: dict[str, Any] = {}
        self._died = folder.path / "died.txt"
        self._died.write_text("The actor died because its node has died.\n")
        journal, checkpoint_store = self.journal, checkpoint_store_at(str(folder.checkpoints))
        rungs = Rungs(request.budget.epochs, request.budget.first_rung, ETA)
        self._scheduler = RungScheduler(
            rungs,
            request.budget.epochs,
            protected=lambda trial_id: journal.record(trial_id).origin == "default",
            record=journal.record,
            records=lambda: searched(journal.records),
        )
        self._recorder = sweeps.backend.callback.SweepCallback(
            journal,
            self._scheduler,
            Heartbeat(first=math.inf, floor=math.inf),
            wants_stop=lambda: None,
            changed=self._changed,
            ended=lambda record: self.watch.call(
                "checkpoints", tidy_checkpoints, checkpoint_store, journal.records, record
            ),
            again=lambda record: self._searcher.hand_out_again(record),
        )
        self._searcher = SearchAlgorithm(
            journal,
            Sampler(request.space, request.acting_limits, seed=request.seed, cohort=request.sobol_cohort),
            limits=request.limits,
            fixed={},
            controls=False,
            seed=request.seed,
            trials=request.trials,
            concurrent=lambda: plan.concurrent,
            describe=lambda record: {"trial_id": record.trial_id, "params": record.params},
            handed_out=self._recorder.expect,
            on_error=_raise,
            has_room=self._has_room,
        )

    def close(self) -> None:
        """Close the journal; its size is known before."""
        self.journal_bytes = self._path.stat().st_size
        self.journal.close()

    def next_trial(self, now: float) -> tuple[str | None, float]:
        """What the searcher suggests."""
        self._clock.now = now
        ray_id = f"ray{len(self._trials)}"
        with self._counted(self.tenths[-1].configs):
            config = self.watch.call("searcher", self._searcher.suggest, ray_id)
        if not isinstance(config, dict):
            self.tenths[-1].configs.pop()
            return None, self._busy
        trial = SimpleNamespace(trial_id=ray_id, config=config, error_file=self._died, failures=0, max_failures=RETRIES)
        self._trials[config["trial_id"]] = trial
        self._scheduler.on_trial_add(None, trial)
        self._recorder.on_trial_start(iteration=0, trials=[], trial=trial)
        return config["trial_id"], self._busy

    def report(self, trial_id: str, epoch: int, now: float) -> tuple[bool, float]:
        """What scheduler and recorder make of an epoch."""
        self._clock.now = now
        trial = self._trials[trial_id]
        report = self._report_of(trial.config["params"], epoch)
        result = {"epoch": epoch, "objective": report["objective"], "report": [report]}
        with self._counted(self.tenths[-1].reports):
            stops = self.watch.call("scheduler", self._scheduler.on_trial_result, None, trial, result) == "STOP"
            self.watch.call(
                "recorder", self._recorder.on_trial_result, iteration=0, trials=[], trial=trial, result=result
            )
            self.watch.call("recorder", self._recorder.on_step_end, iteration=0, trials=[])
            if stops:
                self._scheduler.on_trial_complete(None, trial, result)
                self._searcher.on_trial_complete(trial.trial_id, result)
        if stops:
            self._end()
        return stops, self._busy

    def lost(self, trial_id: str, now: float) -> tuple[bool, float]:
        """What Ray and the recorder make of a worker that died with its node."""
        self._clock.now = now
        trial = self._trials[trial_id]
        trial.failures += 1
        again = trial.failures <= trial.max_failures
        with self._counted([]):
            heard = self._recorder.on_trial_recover if again else self._recorder.on_trial_error
            self.watch.call("recorder", heard, iteration=0, trials=[], trial=trial)
            self.watch.call("recorder", self._recorder.on_step_end, iteration=0, trials=[])
            if not again:
                self._searcher.on_trial_complete(trial.trial_id, error=True)
        if not again:
            self._end()
        return again, self._busy

    @contextlib.contextmanager
    def _counted(self, among: list[float]) -> Iterator[None]:
        """Put this decision's processor time, files apart, among those; `_busy` is with files, disk and Ray."""
        waits, self._extra, files = len(self.watch.disk), 0.0, self.watch.seconds["files"]
        began = time.thread_time()
        yield
        spent = time.thread_time() - began - (self.watch.seconds["files"] - files)
        among.append(spent)
        self._busy = spent + sum(self.watch.disk[waits:]) + self._extra + self.ray_seconds

    def _changed(self) -> None:
        """As a session's: lines, and files at most a twentieth of the time."""
        with self.watch.on("progress lines"), contextlib.redirect_stdout(_Nowhere()):
            self._display.update(progress_of(self._request, self._plan, self.journal.records, self._clock.now))
        if self._clock.now < self._next_files:
            return
        if REAL_WRITES * self._ended >= self._files_due * self._request.trials or not self._files_cost:
            self._files_due = REAL_WRITES * self._ended // self._request.trials + 1
            with self.watch.on("files"):
                self._write_files()
        self.tenths[-1].files.append(self._files_cost)
        self._extra += self._files_cost
        self._next_files = self._clock.now + max(1.0, 20 * self._files_cost)

    def _write_files(self) -> None:
        """For real, to know what they cost; the page of very many trials is none of the driver's own time."""
        records, began = self.journal.records, time.thread_time()
        write_running_files(self._folder, self._request, records, lambda folder: None)
        tables, began = time.thread_time() - began, time.thread_time()
        write_page(self._folder)
        page = time.thread_time() - began
        self.tenths[-1].pages.append(page)
        self._files_cost = tables if len(records) > LATE_PAGE else tables + page

    def _has_room(self) -> bool:
        return room_for_a_trial(
            self.journal.records,
            seconds_left=None,
            epochs=self._request.budget.epochs,
            confirm_runs=0,
            concurrent=self._plan.concurrent,
        )

    def _end(self) -> None:
        self._ended += 1
        if 10 * self._ended < len(self.tenths) * self._request.trials:
            return
        tenth = self.tenths[-1]
        tenth.resident = resident()
        print(f"{row(len(self.tenths), tenth)} after {duration(self._clock.now)}", file=sys.stderr, flush=True)
        if self._ended < self._request.trials:
            self.tenths.append(Tenth())

    def _report_of(self, params: dict[str, float], epoch: int) -> dict[str, Any]:
        """A report of the size that a speech trial's have."""
        scaled = max(round(epoch * EPOCHS / self._request.budget.epochs), 1)
        objective = 1 + LEVELS["good"].value(params, scaled, self._request.seed) / 10
        counts = {
            "updates": 65 * epoch,
            "audio_seconds": 282.702947845805 * epoch,
            "seconds": 8.043413368000074 * epoch,
        }
        measured = {"epoch": float(epoch), **counts, "objective": objective}
        report = {**REPORT, **measured, "epoch": epoch, "evaluations": [measured]}
        return dict(json.loads(json.dumps(report)))  # with names and numbers of its own, as from another process


class _Nowhere(io.TextIOBase):
    """Takes text and keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


def _raise(error: BaseException) -> None:
    raise error


def row(number: int, tenth: Tenth) -> str:
    """One line of the table."""
    return (
        f"| {number} tenths | {spread_of(tenth.reports)} | {spread_of(tenth.configs)} "
        f"| {longest(tenth.files)} | {longest(tenth.pages)} | {tenth.resident / 1e6:.0f} MB |"
    )


def longest(seconds: Sequence[float]) -> str:
    """The greatest of them."""
    return f"{max(seconds):.1f} s" if seconds else "-"


def spread_of(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and maximum in milliseconds."""
    if not seconds:
        return "-"
    middle, high = np.quantile(seconds, [0.5, 0.99])
    return f"{1e3 * middle:.1f}, {1e3 * high:.1f}, {1e3 * max(seconds):.0f} ms"


def simulate(
    shape: ModelConfig, trials: int, seed: int, ray_seconds: float, scratch: Path
) -> tuple[SweepDriver, Cluster]:
    """Run the whole sweep on the simulated clock."""
    parameters = {
        name: {"distribution": "uniform", "min": low, "max": high, "default": (low + high) / 2}
        for name, (low, high) in LEVELS["good"].bounds.items()
    }
    request = SweepConfig(
        search=SearchOptions(),
        name="scale",
        output=scratch,
        space=space_from_mapping({"parameters": parameters}, "scale"),
        trainer="tests.toy_trainer:ToyTrainer",
        data=str(scratch),
        budget=Budget(trials, shape.epochs),
        seed=seed,
    )
    plan = Resources(shape.slots, 1, 1.0, 0.0, shape.slots, 0)
    folder = new_run(scratch, request.name)
    write_sweep_yaml(folder, sweep_yaml(request, plan))
    preload()
    clock = Clock()
    with patch.object(sweeps.trials.journal, "time", clock), patch.object(sweeps.backend.callback, "time", clock):
        driver = SweepDriver(request, plan, folder, clock, ray_seconds)
        cluster = Cluster(shape, driver, seed)
        cluster.run()
    driver.close()
    return driver, cluster
