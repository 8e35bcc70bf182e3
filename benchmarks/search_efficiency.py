"""Epochs that a search needs to come within 1 % of the optimum: the sweep's own classes against rivals, 4 slots.

    python benchmarks/search_efficiency.py                            # 30 seeds, all levels; -o keeps what is done
    python benchmarks/search_efficiency.py --seeds 6 --levels good,noisy
    python benchmarks/search_efficiency.py --rival-python PATH        # with SMAC3 and Syne Tune too: search_rivals.py
    python benchmarks/search_efficiency.py --function MODULE:NAME     # your own f(config, epoch, seed) -> value
    python benchmarks/search_efficiency.py --curves runs/A runs/B     # what stops cost on recorded, unstopped curves
    python benchmarks/search_efficiency.py --curves runs/A --methods "sweep,OptunaSearch + ASHA" --slots 2 --cap 30

Test functions and levels: search_functions.py. Methods: search_methods.py; the sweep is its searcher, scheduler,
recorder and journal as they stand, and the stock pair is Ray's own OptunaSearch and ASHAScheduler, all on a simulated
clock: an epoch takes one unit in each slot, and every epoch of every trial counts, also of those that still run.
The incumbent is what a method would return, judged by its noise-free value at full length (27 epochs). On recorded
curves a config gives the curve of the recorded one that is nearest to it (recorded_curves.py). A search ends within 1 %
or at the cap of 60 full lengths; a miss counts as later than any that was reached. Regrets are medians, with the mean
in brackets. Intervals are 95 % bootstrap intervals of medians over seeds; ratios are of medians, resampled by seed.
What sees full lengths only is run once for all levels of a function, because they have the same ends.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from benchmarks.recorded_curves import recorded_function, report_on_curves  # noqa: E402
from benchmarks.search_functions import LEVELS, SearchFunction, given_function  # noqa: E402
from benchmarks.search_methods import (  # noqa: E402
    FULL_GP,
    FULL_LENGTH_ONLY,
    METHODS,
    SWEEP,
    Course,
    Sweep,
    drive,
    make_method,
)
from benchmarks.search_rivals import RIVALS, Rival  # noqa: E402
from sweeps.common.atomic_file import write_atomically  # noqa: E402
from sweeps.space.space_file import load_space  # noqa: E402

CAP = 60  # full lengths
SLOTS = 4
COSTS = (10, 20, 30, CAP)  # full lengths
RESAMPLES = 2000


class Results:
    """Courses by method, function and seed, written after each of them, so that a run that was ended goes on."""

    def __init__(self, path: Path | None, cap: int = CAP, rival_python: Path | None = None, slots: int = SLOTS) -> None:
        self._path = path
        self._rival_python = rival_python
        self.cap, self._slots = cap, slots
        known = path is not None and path.exists()
        self._rows: dict[str, dict[str, object]] = json.loads(path.read_text()) if known and path is not None else {}

    def course(self, method: str, function: SearchFunction, seed: int) -> Course:
        """The course, run where it is not known yet."""
        subject = function.family if method in FULL_LENGTH_ONLY else function.name
        key = self._key(method, subject, seed)
        if key not in self._rows:
            self._rows[key] = self._run(method, function, seed)
            if self._path is not None:
                write_atomically(self._path, json.dumps(self._rows, indent=0))
        return _course(self._rows[key])

    def stopped(self, function: SearchFunction, seed: int) -> tuple[int, int]:
        """Of one sweep: trials stopped at a rung, and all of them."""
        row = self._rows[self._key(SWEEP, function.name, seed)]
        return int(str(row["stopped"])), int(str(row["jobs"]))

    def _key(self, method: str, subject: str, seed: int) -> str:
        return f"{method}|{subject}|{seed}|{self.cap}|{self._slots}"

    def _run(self, name: str, function: SearchFunction, seed: int) -> dict[str, object]:
        started = time.process_time()
        python = self._rival_python if name in RIVALS else None
        method = (
            make_method(name, function, seed, self._slots) if python is None else Rival(python, name, function, seed)
        )
        course = drive(method, function, seed, slots=self._slots, cap=self.cap * function.epochs)
        stopped = sum(record.status == "stopped" for record in method.records) if isinstance(method, Sweep) else 0
        method.close()
        return {
            "reached": course.reached,
            "regrets": course.regrets,
            "jobs": course.jobs,
            "stopped": stopped,
            "processor_seconds": round(time.process_time() - started, 2),
        }


def _course(row: Mapping[str, object]) -> Course:
    given: dict[str, object] = dict(row)
    regrets = tuple((int(epochs), float(regret)) for epochs, regret in given["regrets"])  # type: ignore[attr-defined]
    reached = given["reached"]
    return Course(None if reached is None else int(str(reached)), regrets, int(str(given["jobs"])))


def median_interval(values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray] | None = None) -> list[float]:
    """The statistic of `values` [seeds, ...] and its 95 % bootstrap interval over seeds; the median by default."""
    of = statistic or (lambda rows: np.median(rows, axis=1))
    drawn = np.random.default_rng(1).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(of(values[drawn]), [0.025, 0.975], method="nearest")
    return [float(of(values[None])[0]), float(low), float(high)]


def ratio_interval(ours: np.ndarray, theirs: np.ndarray) -> list[float]:
    """The ratio of the medians over the same seeds, with its interval; a miss of both is nan."""

    def ratio(rows: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            found = np.median(rows[..., 0], axis=1) / np.median(rows[..., 1], axis=1)
        found[np.isnan(found)] = 1.0  # both missed
        return np.asarray(found)

    return median_interval(np.stack([ours, theirs], axis=1), ratio)


def report(function: SearchFunction, results: Results, seeds: Sequence[int], methods: Sequence[str]) -> list[str]:
    """A table for one function, as Markdown."""
    courses = {name: [results.course(name, function, seed) for seed in seeds] for name in methods}
    reached = {
        name: np.array([math.inf if course.reached is None else course.reached for course in found])
        for name, found in courses.items()
    }
    costs = [cost * function.epochs for cost in COSTS if cost <= results.cap]
    regrets = " | ".join(f"regret at {cost}" for cost in costs)
    lines = [
        f"{function.name}: {len(seeds)} seeds, optimum {function.optimum:.5g}, range {function.range:.4g}",
        "",
        f"| method | epochs to 1 % | within the cap | against {FULL_GP} | {regrets} |",
        "|---" * (4 + len(costs)) + "|",
    ]
    for name, found in courses.items():
        ratio = _shown(ratio_interval(reached[name], reached[FULL_GP]), 2) if FULL_GP in reached else ""
        at_costs = [[course.regret_at(cost) for course in found] for cost in costs]
        shown = " | ".join(f"{100 * np.nanmedian(each):.1f} % ({100 * np.nanmean(each):.1f})" for each in at_costs)
        share = f"{np.isfinite(reached[name]).mean():.0%}"
        lines.append(f"| {name} | {_shown(median_interval(reached[name]), 0)} | {share} | {ratio} | {shown} |")
    if SWEEP in courses:
        stopped, jobs = np.array([results.stopped(function, seed) for seed in seeds]).sum(axis=0)
        lines += ["", f"the sweep stopped {stopped / jobs:.0%} of its trials early"]
    return lines


def _shown(interval: Sequence[float], digits: int) -> str:
    middle, low, high = (f"{value:.{digits}f}" if math.isfinite(value) else "beyond" for value in interval)
    return f"{middle} ({low} to {high})"


def main() -> None:
    """Run what is not known yet and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--levels", default=",".join(LEVELS), help="comma-separated")
    parser.add_argument("--cap", type=int, default=CAP, help="full lengths after which a search ends")
    parser.add_argument("--slots", type=int, default=SLOTS)
    parser.add_argument("--methods", help=f"comma-separated, of {', '.join((*METHODS, *RIVALS))}")
    parser.add_argument("--rival-python", type=Path, metavar="PATH", help="a Python with SMAC3 and Syne Tune")
    parser.add_argument("--function", action="append", metavar="MODULE:NAME", help="instead of the levels")
    parser.add_argument("--curves", nargs="+", type=Path, metavar="RUN", help="run folders with unstopped curves")
    parser.add_argument("--space", default="safe_weights", help="that recorded configs are searched in")
    parser.add_argument("-o", "--output", type=Path, help="results so far, as JSON; read at the start where it exists")
    given = parser.parse_args()
    if given.rival_python is None and any(name in RIVALS for name in (given.methods or "").split(",")):
        parser.error("these methods need --rival-python")
    if given.curves and not given.methods:
        print("\n".join(report_on_curves(given.curves)))
        return
    sys.path.insert(0, str(Path.cwd()))
    if given.curves:
        space = load_space(given.space)
        functions = [recorded_function(folder, space) for folder in given.curves]
    elif given.function:
        functions = [given_function(where) for where in given.function]
    else:
        functions = [LEVELS[level] for level in given.levels.split(",")]
    results = Results(given.output, given.cap, given.rival_python, given.slots)
    seeds = range(1, given.seeds + 1)
    methods = given.methods.split(",") if given.methods else [*METHODS, *(RIVALS if given.rival_python else ())]
    for function in functions:
        for name in methods:
            for seed in seeds:
                reached = results.course(name, function, seed).reached
                print(f"{function.name}, {name}, seed {seed}: {reached or 'not reached'}", file=sys.stderr, flush=True)
        print("\n".join(report(function, results, seeds, methods)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
