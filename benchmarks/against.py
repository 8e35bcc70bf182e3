"""This version and an older one in turn: --help, a demo sweep to its first step and to its end, and the same trials.

    python benchmarks/against.py                                    # version 0.1, three pairs of sweeps of 16 trials
    python benchmarks/against.py --against COMMIT --pairs 1 --trials 4 --epochs 3

Each side is `run_sweep.py` in its own checkout, with its own cache, which is filled before. The sides take turns, and
the one that begins changes, so that a busy machine costs both. Processor time is that of the command and all that it
starts (Ray's servers, workers, W&B's process), read from /proc ten times a second; wall time means something on a
quiet machine alone. Then both run the same trials: how many have equal parameters, and equal objectives to the bit.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.breakdown import first_step  # noqa: E402

BEFORE = "36e8e87^"
"""The last commit of version 0.1"""
MARK = "AGAINST_SIDE"
OTHER = "others"
KINDS = {
    b"ray::TrialTrainable": "workers with a trial",
    b"ray::IDLE": "workers without",
    b"run_sweep.py": "the command",
    b"ray": "Ray's servers and agents",
}
"""By a part of the command line, the first that fits"""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Meter:
    """Processor time of all processes that carry a mark in their environment."""

    mark: str
    spent: dict[tuple[str, str], float] = field(default_factory=dict)
    """By pid and start time"""
    moments: list[float] = field(default_factory=list)
    totals: list[dict[str, float]] = field(default_factory=list)
    """By kind of process, at each moment"""
    kinds: dict[tuple[str, str], str] = field(default_factory=dict)
    foreign: set[tuple[str, str]] = field(default_factory=set)

    def read(self) -> None:
        """Add what was spent since the last time."""
        for path in Path("/proc").glob("[0-9]*"):
            try:
                fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
                process = (path.name, fields[19])
                if process in self.foreign:
                    continue
                if process not in self.spent and self.mark.encode() not in (path / "environ").read_bytes():
                    self.foreign.add(process)
                    continue
                self.spent[process] = (int(fields[11]) + int(fields[12])) / TICKS
                self.kinds[process] = kind_of((path / "cmdline").read_bytes()) or self.kinds.get(process, OTHER)
            except (OSError, IndexError):
                continue
        self.moments.append(time.time())
        total: dict[str, float] = defaultdict(float)
        for process, seconds in self.spent.items():
            total[self.kinds.get(process, OTHER)] += seconds
        self.totals.append(total)

    def at(self, moment: float) -> dict[str, float]:
        """What had been spent by then, by kind of process."""
        return self.totals[min(bisect_left(self.moments, moment), len(self.totals) - 1)]


def kind_of(command: bytes) -> str | None:
    """What a process is, from its command line; None of one that has ended."""
    return next((kind for part, kind in KINDS.items() if part in command), OTHER) if command else None


@dataclass(frozen=True)
class Side:
    """One of the two versions."""

    name: str
    checkout: Path
    scratch: Path

    def run(self, *arguments: str) -> tuple[float, float, Meter]:
        """A command from beginning to end, and its processor time; SystemExit where it fails."""
        mark = f"{MARK}={self.name}-{time.time_ns()}"
        name, _, value = mark.partition("=")
        own = {name: value, "XTTS_SWEEP_CACHE": str(self.scratch / self.name), "PYTHONPATH": str(self.checkout)}
        meter, begun = Meter(mark), time.time()
        with subprocess.Popen(
            [sys.executable, str(self.checkout / "run_sweep.py"), *arguments],
            cwd=self.checkout,
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            lines: list[str] = []
            reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
            reader.start()
            while process.poll() is None:
                meter.read()
                time.sleep(0.1)
            ended = time.time()
            meter.read()
            reader.join()
        if process.returncode:
            raise SystemExit(f"{self.name}: {' '.join(arguments)} failed\n{''.join(lines)[-3000:]}")
        return begun, ended, meter

    def sweep(self, name: str, *arguments: str) -> Path:
        """The folder of a sweep's run."""
        self.run("--name", name, "--output", str(self.scratch / self.name / "runs"), *arguments)
        return self.scratch / self.name / "runs" / name


def main() -> None:
    """Run both sides in turn; print the ratios, then what is equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default=BEFORE, metavar="COMMIT", help="the older version (default %(default)s)")
    parser.add_argument("--pairs", type=int, default=3, help="sweeps of each side (default %(default)s)")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=9)
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="against-"))
    try:
        old = Side("old", checkout_of(options.against, scratch), scratch)
        compare(old, Side("new", ROOT, scratch), options)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def checkout_of(commit: str, scratch: Path) -> Path:
    """The files of a commit."""
    folder = scratch / "checkout"
    folder.mkdir()
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def compare(old: Side, new: Side, options: argparse.Namespace) -> None:
    """All measurements, one after the other."""
    length = ("--trials", str(options.trials), "--epochs", str(options.epochs))
    common = ("--space", "safe_weights", "--confirm-seeds", "0", "--wandb", "offline", "--seed", "1")
    for side in (old, new):
        side.sweep("warm", *common, "--trials", "2", "--epochs", "1")
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    runs: dict[str, Path] = {}
    for number in range(options.pairs):
        for side in (old, new) if number % 2 == 0 else (new, old):
            for _ in range(5):
                begun, ended, meter = side.run("--help")
                found["--help, wall s"][side.name].append(ended - begun)
            name = f"pair{number}"
            folder = side.scratch / side.name / "runs"
            begun, ended, meter = side.run("--name", name, "--output", str(folder), *common, *length)
            runs[side.name] = folder / name
            events = [json.loads(line) for line in (folder / name / "trials.jsonl").read_text("utf-8").splitlines()]
            reports = [event for event in events if event["event"] == "report"]
            first = first_step(events)
            for what, value in (
                ("to the first step, wall s", first - begun),
                ("to the first step, processor s", sum(meter.at(first).values())),
                *((f"  {kind}", meter.at(first).get(kind, 0.0)) for kind in (*KINDS.values(), OTHER)),
                ("whole sweep, wall s", ended - begun),
                ("whole sweep, processor s", sum(meter.totals[-1].values())),
                ("trial-epochs", len(reports)),
                (
                    "a trial-epoch, processor s",
                    (sum(meter.totals[-1].values()) - sum(meter.at(first).values())) / len(reports),
                ),
            ):
                found[what][side.name].append(value)
            print(f"{side.name} {number}: {len(reports)} trial-epochs, {ended - begun:.1f} s", flush=True)
    show(found)
    print(f"\nmodel, {length}: {equal(runs['old'], runs['new'])}")
    toy = ("--trainer", "tests.toy_trainer:ToyTrainer", "--trials", "8", "--epochs", "6", "--concurrent", "1")
    print(f"toy trainer: {equal(old.sweep('toy', *common, *toy), new.sweep('toy', *common, *toy))}")


def show(found: dict[str, dict[str, list[float]]]) -> None:
    """Medians of both sides, and the median, least and most of the ratios within a pair."""
    print(f"\n{'median':<34}{'old':>10}{'new':>10}{'new / old':>12}")
    for what, sides in found.items():
        old, new = sides["old"], sides["new"]
        ratios = sorted(one / other if other else math.nan for one, other in zip(new, old, strict=True))
        row = f"{what:<34}{statistics.median(old):10.3f}{statistics.median(new):10.3f}{statistics.median(ratios):12.2f}"
        print(f"{row}  ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def equal(old: Path, new: Path) -> str:
    """How many trials have equal parameters, and how many of those equal objectives where they trained as long."""
    before, after = ({row["trial_id"]: row for row in rows_of(path)} for path in (old, new))
    shared = [name for name in before if name in after]
    params = [name for name in rows_of(old)[0] if name.endswith(("_weight", "_norm"))]
    same = [name for name in shared if all(before[name][one] == after[name][one] for one in params)]
    as_long = [name for name in same if before[name]["epochs"] == after[name]["epochs"]]
    bits = [name for name in as_long if before[name]["objective"] == after[name]["objective"]]
    return (
        f"{len(same)} of {len(shared)} trials have equal parameters ({', '.join(same)}); "
        f"{len(as_long)} of these trained as long; {len(bits)} have the same objective to the last digit"
    )


def rows_of(run: Path) -> list[dict[str, str]]:
    """The rows of trials.csv."""
    with (run / "trials.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
