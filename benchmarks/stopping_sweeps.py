"""How often ending a search early is wrong, and what it saves: simulated sweeps on functions of several kinds.

    python benchmarks/stopping_sweeps.py --seeds 10 --trials 40
    python benchmarks/stopping_sweeps.py --seeds 10 --trials 16 --functions bowl,hartmann
    python benchmarks/stopping_sweeps.py --seeds 40 --curves runs/A runs/B    # over recorded, unstopped curves

Each search runs to its last trial with the sweep's own classes (search_methods.py). The rule is asked before each
trial; where it would have ended the search first, the best so far is compared with the best at the end, both by their
true value at full length. Wrong: a gain larger than the one asked for came later. Intervals are 95 % (Wilson).
Objectives are shifted to be positive, as errors are. On recorded curves a config gives the curve of the recorded one
that is nearest to it.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.recorded_curves import recorded_function
from benchmarks.search_functions import EPOCHS, Curve, SearchFunction, hartmann3, heavy7, noise_of
from benchmarks.search_methods import Job, Sweep, space_of
from sweeps.search.gain import SLIGHT_CHANCE, GainRule
from sweeps.space.limits import NO_LIMITS
from sweeps.space.space_file import load_space

SLOTS = 2
CUBE = {f"x{axis}": (0.0, 1.0) for axis in range(3)}


def curved(end: Curve, fall: float = 0.5, noise: float = 0.02) -> Curve:
    """Learning curves that fall to `end` with noise that shrinks."""

    def value(config: Mapping[str, float], epoch: int, seed: int) -> float:
        short = 1 - math.log(epoch) / math.log(EPOCHS)
        return end(config, EPOCHS, seed) + fall * short + noise * short * noise_of(config, epoch, seed)

    return value


def bowl(config: Mapping[str, float], epoch: int, seed: int) -> float:
    """An error like a tuned trainer's: a parabola along each axis, one of which hardly acts."""
    return 0.5 + 0.4 * (config["x0"] - 0.3) ** 2 + 0.2 * (config["x1"] - 0.7) ** 2 + 0.01 * (config["x2"] - 0.5) ** 2


def waves(config: Mapping[str, float], epoch: int, seed: int) -> float:
    """Many local minima."""
    return 0.7 + bowl(config, epoch, seed) / 2 + 0.1 * sum(math.cos(16 * value) for value in config.values())


def flat(config: Mapping[str, float], epoch: int, seed: int) -> float:
    """Nothing acts: every config's end is the same but for noise of 1 %."""
    return 0.5 + 0.005 * noise_of(config, 1, seed)


def shifted(curve: Curve, by: float) -> Curve:
    """The curve with a constant added, so that a share of it means something."""
    return lambda config, epoch, seed: by + curve(config, epoch, seed)


FUNCTIONS = {
    "bowl": SearchFunction("bowl", "bowl", curved(bowl), CUBE),
    "waves": SearchFunction("waves", "waves", curved(waves), CUBE),
    "flat": SearchFunction("flat", "flat", curved(flat), CUBE),
    "hartmann": SearchFunction("hartmann", "hartmann", shifted(hartmann3(0.5, 0.1), 5.0), CUBE),
    "hartmann noisy": SearchFunction("hartmann noisy", "hartmann", shifted(hartmann3(0.0, 0.8), 5.0), CUBE),
    "heavy7": SearchFunction(
        "heavy7", "heavy7", shifted(heavy7(0.5, 0.1), 5.0), {f"x{axis}": (0.0, 1.0) for axis in range(7)}
    ),
}


def course(function: SearchFunction, seed: int, trials: int, gain: float) -> dict[str, float]:
    """One search to its last trial: where the rule would have ended it, and what came after."""
    space, rule = space_of(function), GainRule(gain, trials)
    method = Sweep(space, seed, SLOTS, trials=trials, epochs=function.epochs)
    running: list[tuple[Job, int] | None] = [None] * SLOTS
    used = ends = 0
    at: tuple[int, int, float] | None = None
    while True:
        for slot in range(SLOTS):
            if running[slot] is not None:
                continue
            finished = sum(record.status == "finished" for record in method.records)
            if at is None and finished > ends and len(method.records) < trials:
                ends = finished
                found = rule.chance(space, NO_LIMITS, method.records, seed=seed)
                if found is not None and found < SLIGHT_CHANCE:
                    best = method.incumbent()
                    assert best is not None
                    at = used, len(method.records), function.truth(best)
            job = method.next_job()
            running[slot] = None if job is None else (job, 1)
        if not any(running):
            break
        for slot, busy in enumerate(running):
            if busy is None:
                continue
            job, epoch = busy
            used += 1
            ended = method.report(job, epoch, function.value(job.config, epoch, seed))
            running[slot] = None if ended or epoch == function.epochs else (job, epoch + 1)
    best = method.incumbent()
    assert best is not None
    last = function.truth(best)
    method.close()
    if at is None:
        return {"stopped": 0.0, "wrong": 0.0, "saved": 0.0, "lost": 0.0, "trials": float(trials)}
    lost = (at[2] - last) / abs(at[2])
    return {
        "stopped": 1.0,
        "wrong": float(lost > gain),
        "saved": 1 - at[0] / used,
        "lost": lost,
        "trials": float(at[1]),
    }


def wilson(count: float, of: int) -> tuple[float, float]:
    """The 95 % interval of a share."""
    z, share = 1.96, count / of
    middle, half = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max((middle - half) / (1 + z * z / of), 0.0), (middle + half) / (1 + z * z / of)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--gain", type=float, default=0.01)
    parser.add_argument("--functions", default=",".join(FUNCTIONS))
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--curves", nargs="+", type=Path, metavar="RUN", help="run folders with unstopped curves")
    parser.add_argument("--space", default="safe_weights", help="that recorded configs are searched in")
    given = parser.parse_args()
    if given.curves:
        functions = [recorded_function(folder, load_space(given.space)) for folder in given.curves]
    else:
        functions = [FUNCTIONS[name] for name in given.functions.split(",")]
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    print(f"up to {given.trials} trials, {given.seeds} seeds, a gain of {given.gain:.0%}, {SLOTS} slots\n")
    print("| function | ended early | wrong | epochs saved | at trial (median) | largest loss |")
    print("|---|---|---|---|---|---|")
    rows: list[dict[str, float]] = []
    for function in functions:
        begun = time.process_time()
        found = [course(function, seed, given.trials, given.gain) for seed in seeds]
        rows += found
        for seed, row in zip(seeds, found, strict=True):
            if row["stopped"]:
                print(f"{function.name}, seed {seed}: at {row['trials']:.0f}, lost {row['lost']:.2%}", file=sys.stderr)
        print(f"| {function.name} | {_line(found)}", flush=True)
        print(f"{function.name}: {time.process_time() - begun:.0f} s of processor", file=sys.stderr)
    print(f"| all | {_line(rows)}")
    low, high = wilson(sum(row["wrong"] for row in rows), len(rows))
    print(f"\nwrong stops: {np.mean([row['wrong'] for row in rows]):.1%} of all searches ({low:.1%} to {high:.1%})")


def _line(rows: list[dict[str, float]]) -> str:
    stopped = [row for row in rows if row["stopped"]]
    at = f"{np.median([row['trials'] for row in stopped]):.0f}" if stopped else "-"
    wrong, saved = sum(row["wrong"] for row in rows), np.mean([row["saved"] for row in rows])
    largest = max(row["lost"] for row in rows)
    return f"{len(stopped)} of {len(rows)} | {wrong:.0f} | {saved:.0%} | {at} | {largest:.1%} |"


if __name__ == "__main__":
    main()
