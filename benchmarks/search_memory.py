"""Full lengths until a search is near the best: with the memory of an earlier run, and cold.

    python benchmarks/search_memory.py --seeds 10
    python benchmarks/search_memory.py --runs runs/A runs/B           # recorded runs of one space: each other's memory
    python benchmarks/search_memory.py --runs runs/carry/tiny.jsonl runs/carry/small.jsonl   # of carry_over.py, by seed

The new data is multi-fidelity Hartmann-3 (search_functions.py, level good). The earlier run is a search of 30 trials,
with another seed, over
- near: the same function moved by 0.02 in each dimension, on another scale;
- similar: moved by 0.04;
- other size: moved by 0.08 with one weight of the four doubled, on another scale;
- unrelated: a function of other centres;
- adversarial: the function upside down, so that its best is the new data's worst.
Counted are trials in full lengths (epochs / 27, all slots) until the best trial's true value is within 5 % of the range
of the optimum, at most 40. The sweep's own classes run on a simulated clock (search_methods.py). Ratios are of sums
over the same seeds, with 95 % bootstrap intervals over seeds.

Of recorded runs each is the new data once, with each of the others as the memory: the rank correlation of its ends with
what the memory alone predicts for them, and the regret of its config that the memory puts first, of its default, and of
its configs on average, as shares of the range of its ends.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.carry_over import runs_of
from benchmarks.search_functions import EPOCHS, LEVELS, Curve, SearchFunction, hartmann3
from benchmarks.search_methods import Sweep, drive, space_of
from sweeps.run.run import read_run
from sweeps.search.memory import Memory, agreement, memory_of, predictor
from sweeps.search.options import SearchOptions
from sweeps.search.points import points_of
from sweeps.space.space import Space
from sweeps.space.space_file import load_space
from sweeps.trials.event import Event
from sweeps.trials.final_values import curve_ends
from sweeps.trials.record import TrialRecord, records_from_events

SLOTS, OLD_TRIALS, MOST, TOLERANCE = 4, 30, 40, 0.05
NEW = LEVELS["good"]
SEARCHED, FEWEST_CONFIGS = ("trial", "control"), 8


def moved(by: Sequence[float], curve: Curve, scale: float = 3.0, offset: float = 20.0) -> Curve:
    """The curve as earlier data would give it: elsewhere, and on another scale."""

    def value(config: Mapping[str, float], epoch: int, seed: int) -> float:
        there = {name: min(max(config[name] + step, 0.0), 1.0) for name, step in zip(NEW.bounds, by, strict=True)}
        return offset + scale * curve(there, epoch, seed)

    return value


def doubled(config: Mapping[str, float], epoch: int, seed: int) -> float:
    """The function with more weight on one of its minima that is not the best."""
    distance = sum((config[name] - centre) ** 2 for name, centre in zip(NEW.bounds, (0.1, 0.87, 0.55), strict=True))
    return hartmann3(0.5, 0.1)(config, epoch, seed) - math.exp(-8 * distance)


OLD: dict[str, Curve] = {
    "near": moved((0.02, -0.02, 0.02), hartmann3(0.5, 0.1)),
    "similar": moved((0.04, -0.04, 0.04), hartmann3(0.5, 0.1)),
    "other size": moved((0.08, -0.08, 0.08), doubled),
    "unrelated": moved((0.0, 0.0, 0.0), lambda c, epoch, seed: (c["x0"] - 0.8) ** 2 + abs(c["x1"] - 0.1) - c["x2"]),
    "adversarial": moved((0.0, 0.0, 0.0), hartmann3(0.5, 0.1), scale=-3.0),
}


def earlier_run(curve: Curve, seed: int) -> list[TrialRecord]:
    """The trials of a finished search on earlier data."""
    function = SearchFunction("old", "old", curve, known_optimum=-1e9, known_range=1.0)
    method = Sweep(space_of(function), 1000 + seed, SLOTS, trials=OLD_TRIALS)
    drive(method, function, 1000 + seed, slots=SLOTS, cap=OLD_TRIALS * EPOCHS)
    records = list(method.records)
    method.close()
    return records


def full_lengths(seed: int, memory: Memory | None) -> tuple[float, float | None]:
    """How many full lengths a search needs, and how far the memory's order agreed with its own."""
    options = None if memory is None else SearchOptions(memory=memory)
    method = Sweep(space_of(NEW), seed, SLOTS, options=options)
    course = drive(method, NEW, seed, slots=SLOTS, cap=MOST * EPOCHS, tolerance=TOLERANCE)
    agreed = None if memory is None else agreement(memory, space_of(NEW), method.records)
    method.close()
    needed = MOST if course.reached is None else course.reached / EPOCHS
    return needed, None if agreed is None else agreed.rank


def ratio(warm: np.ndarray, cold: np.ndarray) -> str:
    """The ratio of the sums with its interval."""
    drawn = np.random.default_rng(1).integers(len(warm), size=(2000, len(warm)))
    low, high = np.quantile(warm[drawn].sum(axis=1) / cold[drawn].sum(axis=1), [0.025, 0.975])
    return f"{warm.sum() / cold.sum():.2f} ({low:.2f} to {high:.2f})"


def recorded(places: Sequence[Path]) -> dict[str, list[TrialRecord]]:
    """The trials of run folders, and of carry_over.py's recordings as a run for each seed, by name."""
    runs: dict[str, list[TrialRecord]] = {}
    for place in places:
        name = f"{place.parent.name}/{place.name}"
        if place.suffix != ".jsonl":
            runs[name] = [record for record in read_run(place).records if record.role in SEARCHED]
            continue
        events: dict[str, list[Event]] = defaultdict(list)
        for number, one in enumerate(runs_of(place)):
            trial = {"trial_id": f"t{number:04d}"}
            reports = [
                {"event": "report", **trial, "epoch": epoch, "objective": objective}
                for epoch, objective in enumerate(one["objectives"], 1)
            ]
            events[f"{name}, seed {one['seed']}"] += [
                {"event": "trial_started", **trial, "params": one["params"]},
                *reports,
                {"event": "trial_ended", **trial, "status": "finished"},
            ]
        runs |= {seed: records_from_events(of_seed) for seed, of_seed in events.items()}
    return runs


def report_on_runs(places: Sequence[Path], space: Space) -> list[str]:
    """The table of recorded runs, as Markdown."""
    runs = recorded(places)
    lines = [
        "| new data | memory | configs | rank correlation | regret: memory's first, default, mean |",
        "|---" * 5 + "|",
    ]
    default_id = space.default().identity
    for new, records in runs.items():
        ends = curve_ends(records)
        known = [record for record in records if record.trial_id in ends and len(points_of(space, [record]))]
        if len(known) < FEWEST_CONFIGS:
            continue
        values = np.array([ends[record.trial_id] for record in known])
        regret = (values - values.min()) / (values.max() - values.min())
        defaults = [share for share, record in zip(regret, known, strict=True) if record.identity == default_id]
        for old in (name for name in runs if name != new):
            memory = memory_of({old: runs[old]}, space)
            predicted = predictor(memory, space).ends(points_of(space, known))[0]
            agreed = agreement(memory, space, known)
            rank = "" if agreed is None or agreed.rank is None else f"{agreed.rank:+.2f}"
            shares = [regret[np.argmin(predicted)], *defaults[:1], regret.mean()]
            shown = ", ".join(f"{share:.0%}" for share in shares)
            lines.append(f"| {new} | {old} | {len(known)} | {rank} | {shown} |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--memories", default=",".join(OLD), help="comma-separated")
    parser.add_argument(
        "--runs", nargs="+", type=Path, metavar="RUN", help="run folders, or carry_over.py's recordings"
    )
    parser.add_argument("--space", default="safe_weights", help="that the recorded runs are compared in")
    given = parser.parse_args()
    if given.runs:
        print("\n".join(report_on_runs(given.runs, load_space(given.space))))
        return
    seeds = range(1, given.seeds + 1)
    cold = np.array([full_lengths(seed, None)[0] for seed in seeds])
    print(
        f"{given.seeds} seeds; full lengths until within {TOLERANCE:.0%} of the range of the optimum, at most {MOST}\n"
    )
    print("| memory | median | mean | against cold | rank correlation (median) |\n|---|---|---|---|---|")
    print(f"| none | {np.median(cold):.1f} | {cold.mean():.1f} | 1 | |", flush=True)
    for name in given.memories.split(","):
        found = [full_lengths(seed, memory_of({"old": earlier_run(OLD[name], seed)}, space_of(NEW))) for seed in seeds]
        warm = np.array([needed for needed, _ in found])
        agreed = [value for _, value in found if value is not None]
        shown = f"{np.median(agreed):+.2f}" if agreed else ""
        print(f"| {name} | {np.median(warm):.1f} | {warm.mean():.1f} | {ratio(warm, cold)} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
