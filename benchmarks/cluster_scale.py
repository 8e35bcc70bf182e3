"""The sweep's driver at a cluster's size, on a simulated clock: how long it takes to decide, and what slots wait for.

    python benchmarks/cluster_scale.py                               # 10,000 trials of 27 epochs on 512 slots
    python benchmarks/cluster_scale.py --trials 1000 --slots 64
    python benchmarks/cluster_scale.py --profile                     # and where the driver's time goes

The searcher, the scheduler, the recorder and the journal are the sweep's own, put together as sweeps/session.py does
it, with the journal on a real disk and a log's progress lines thrown away. What they decide on is simulated: a
published test function's learning curves (search_functions.py) on a cluster whose nodes differ and fail
(cluster_model.py). The driver's processor time, and its wait for the disk, pass on the simulated clock too: a slot
whose report waits for an answer stands still. Files (trials.csv, the page) are written as often as a session does;
they are really written once in a tenth of the trials, and charged with the last cost in between. Ray's own part of a
report is a constant (--ray-ms; what benchmarks/soak.py leaves beside ours). The page of more than 1,000 trials is made
in a thread of its own: its seconds stand in their own column. Not simulated: the network, Ray's own
memory, checkpoints.

The table is by tenths of the trials that have ended: processor time from a report to go or stop, and from a free slot
to the next config. Efficiency is the kept epochs' time over that of always-busy slots.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import io
import json
import math
import os
import pstats
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

import sweeps.journal  # noqa: E402
import sweeps.recorder  # noqa: E402
from benchmarks.cluster_model import Cluster, Shape  # noqa: E402
from benchmarks.search_functions import EPOCHS, LEVELS  # noqa: E402
from benchmarks.soak import resident  # noqa: E402
from sweeps.budget import Budget, duration  # noqa: E402
from sweeps.checkpoint_shelf import shelf_at  # noqa: E402
from sweeps.journal import Journal  # noqa: E402
from sweeps.kept_weights import tidy_checkpoints  # noqa: E402
from sweeps.model import preload  # noqa: E402
from sweeps.plan import Plan  # noqa: E402
from sweeps.progress import LineDisplay  # noqa: E402
from sweeps.proposer import Proposer  # noqa: E402
from sweeps.records import Event  # noqa: E402
from sweeps.request import ETA, SweepRequest, sweep_yaml  # noqa: E402
from sweeps.run_files import LATE_PAGE, progress_of, write_running_files  # noqa: E402
from sweeps.run_folder import RunFolder, new_run, write_sweep_yaml  # noqa: E402
from sweeps.run_record import searched  # noqa: E402
from sweeps.rungs import Rungs  # noqa: E402
from sweeps.scheduler import RungScheduler  # noqa: E402
from sweeps.searcher import SweepSearcher  # noqa: E402
from sweeps.session import RETRIES  # noqa: E402
from sweeps.space import space_from_mapping  # noqa: E402
from sweeps.time_kept import room_for_a_trial  # noqa: E402
from sweeps.watchdog import Watchdog  # noqa: E402
from wiring import write_page  # noqa: E402

DAY = 86_400.0
REAL_WRITES = 10  # of the files, in a whole run
PARTS = ("searcher", "scheduler", "journal", "recorder", "progress lines", "checkpoints", "files")
MEMORY = 16e9  # of the machine that the bound on trials is named for
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

    def __init__(self, request: SweepRequest, plan: Plan, folder: RunFolder, clock: Clock, ray_seconds: float) -> None:
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
        journal, shelf = self.journal, shelf_at(str(folder.checkpoints))
        rungs = Rungs(request.budget.epochs, request.budget.first_rung, ETA)
        self._scheduler = RungScheduler(
            rungs,
            request.budget.epochs,
            protected=lambda trial_id: journal.record(trial_id).origin == "default",
            running_best=lambda trial_id: journal.record(trial_id).objective,
            records=lambda: searched(journal.records),
        )
        self._recorder = sweeps.recorder.Recorder(
            journal,
            self._scheduler,
            Watchdog(first=math.inf, floor=math.inf),
            wants_stop=lambda: None,
            changed=self._changed,
            ended=lambda record: self.watch.call("checkpoints", tidy_checkpoints, shelf, journal.records, record),
            again=lambda record: self._searcher.hand_out_again(record),
        )
        self._searcher = SweepSearcher(
            journal,
            Proposer(request.space, request.acting_limits, seed=request.seed, cohort=request.sobol_cohort),
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


def main() -> None:
    """Simulate once and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--slots", type=int, default=512, help="in nodes of 8 (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of a whole trial (default %(default)s)")
    parser.add_argument("--epoch-seconds", type=float, default=60.0, help="median (default %(default)s)")
    parser.add_argument("--failures", type=float, default=0.02, help="per node and hour (default %(default)s)")
    parser.add_argument("--ray-ms", type=float, default=8.0, help="Ray's own part of a report (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of search and cluster (default %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the journal is written (default: for temporary files)")
    parser.add_argument("--profile", action="store_true", help="print the driver's costliest functions")
    options = parser.parse_args()
    if options.trials < 10:
        parser.error(f"--trials {options.trials}: the table needs 10 at least")
    shape = Shape(
        options.slots,
        options.epochs,
        epoch_seconds=options.epoch_seconds,
        failures_per_node_hour=options.failures,
    )
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; seed {options.seed}")
    print(f"{options.trials} trials of {shape.epochs} epochs of {shape.epoch_seconds:g} s on {shape.slots} slots;")
    print(
        f"{shape.nodes} nodes, each failing {options.failures:g} times an hour; {options.ray_ms:g} ms a report for Ray"
    )
    with tempfile.TemporaryDirectory(prefix="cluster-scale-", dir=options.folder) as scratch:
        with profiled(options.profile):
            driver, cluster = simulate(shape, options.trials, options.seed, options.ray_ms / 1e3, Path(scratch))
        print("\n".join([*table(driver.tenths), *summary(driver, cluster)]))


def simulate(shape: Shape, trials: int, seed: int, ray_seconds: float, scratch: Path) -> tuple[SweepDriver, Cluster]:
    """Run the whole sweep on the simulated clock."""
    parameters = {
        name: {"distribution": "uniform", "min": low, "max": high, "default": (low + high) / 2}
        for name, (low, high) in LEVELS["good"].bounds.items()
    }
    request = SweepRequest(
        name="scale",
        output=scratch,
        space=space_from_mapping({"parameters": parameters}, "scale"),
        trainer="tests.toy_trainer:ToyTrainer",
        data=str(scratch),
        budget=Budget(trials, shape.epochs),
        seed=seed,
    )
    plan = Plan(shape.slots, 1, 1.0, 0.0, shape.slots, 0)
    folder = new_run(scratch, request.name)
    write_sweep_yaml(folder, sweep_yaml(request, plan))
    preload()
    clock = Clock()
    with patch.object(sweeps.journal, "time", clock), patch.object(sweeps.recorder, "time", clock):
        driver = SweepDriver(request, plan, folder, clock, ray_seconds)
        cluster = Cluster(shape, driver, seed)
        cluster.run()
    driver.close()
    return driver, cluster


def table(tenths: Sequence[Tenth]) -> list[str]:
    """A line for each tenth of the trials."""
    lines = [
        "",
        "| trials ended | report to go or stop: median, p99, most | free slot to config | files | page | RSS |",
        "|---|---|---|---|---|---|",
    ]
    return [*lines, *(row(number, tenth) for number, tenth in enumerate(tenths, 1))]


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


def summary(driver: SweepDriver, cluster: Cluster) -> list[str]:
    """What it comes to."""
    records, tenths, shape, spent = driver.journal.records, driver.tenths, cluster.shape, cluster.until_now()
    statuses = Counter(str(record.status) for record in records).most_common()
    retries = sum(record.retries for record in records)
    whole = cluster.now * shape.slots
    reports = [seconds for tenth in tenths for seconds in tenth.reports]
    configs = [seconds for tenth in tenths for seconds in tenth.configs]
    growth = (tenths[-1].resident - tenths[0].resident) / max(0.9 * len(records), 1)
    disk = 1e3 * float(np.median(driver.watch.disk))
    idle = {
        "workers' start": spent.starting,
        "epochs lost with their node": spent.lost,
        "nodes that are down": spent.down,
        "waiting for the driver, and the last trials' end": spent.waiting,
    }
    return [
        "",
        f"ended: {', '.join(f'{count} {status}' for status, count in statuses)}; {cluster.node_failures} nodes failed, "
        f"{retries} times a trial went on elsewhere",
        f"all reports: {spread_of(reports)}; all configs: {spread_of(configs)}",
        f"longest wait for an answer: {cluster.longest_queue:.1f} s; a journal's line waits {disk:.2f} ms for the disk",
        f"the journal has {driver.journal_bytes / 1e6:.0f} MB; memory grows by {growth / 1e3:.0f} kB a trial, "
        f"so 16 GB hold about {(MEMORY - tenths[0].resident) / max(growth, 1.0):,.0f} such trials",
        f"{duration(cluster.now)} simulated; the last trial began after {duration(cluster.last_start)}",
        f"efficiency against always-busy slots: {spent.kept / whole:.1%}; "
        + ", ".join(f"{what} {seconds / whole:.1%}" for what, seconds in idle.items()),
        *bottleneck(driver, cluster, len(reports) + len(configs)),
    ]


def bottleneck(driver: SweepDriver, cluster: Cluster, asked: int) -> list[str]:
    """What the driver does with its time, and where it has none left; files are made in a twentieth of it at most."""
    parts = {part: driver.watch.seconds[part] for part in PARTS if part != "files"}
    parts |= {"disk": sum(driver.watch.disk), "Ray": driver.ray_seconds * asked}
    busy, files = sum(parts.values()), sum(seconds for tenth in driver.tenths for seconds in tenth.files)
    shares = sorted(parts.items(), key=lambda entry: -entry[1])
    full, shape = 0.95 * cluster.now / busy, cluster.shape
    return [
        f"the driver decides in {busy / cluster.now:.1%} of the time ("
        + ", ".join(f"{part} {seconds / busy:.0%}" for part, seconds in shares)
        + f") and makes files in {files / cluster.now:.1%}",
        f"first bottleneck: {shares[0][0]}, which is {1e3 * shares[0][1] / asked:.1f} of {1e3 * busy / asked:.1f} ms a "
        f"decision; the driver is full at {shape.slots * full:,.0f} slots with epochs of {shape.epoch_seconds:g} s, "
        f"or with epochs of {shape.epoch_seconds / full:.1f} s on {shape.slots} slots",
    ]


@contextlib.contextmanager
def profiled(wanted: bool) -> Iterator[None]:
    """Print where the time went, where that is wanted."""
    if not wanted:
        yield
        return
    with cProfile.Profile() as profile:
        yield
    text = io.StringIO()
    pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(45)
    print(text.getvalue())


if __name__ == "__main__":
    main()
