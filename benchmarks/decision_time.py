"""How long the driver takes for a decision when many trials run and have ended, without Ray and without training.

    OMP_NUM_THREADS=1 python benchmarks/decision_time.py                     # 1,000 trials of 27 epochs on 64 slots
    OMP_NUM_THREADS=1 python benchmarks/decision_time.py --trials 200 --slots 4 --level heavy7    # seven dimensions

Search, scheduler, callback and journal are the sweep's own, with the journal in memory; learning curves are those of a
test function (search_functions.py). By quarters of the trials: processor time from a free slot to the next config, and
from a report to stop or go. Then what trials.csv costs in the end: a sweep writes its files in at most a twentieth of
its time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.search_functions import LEVELS
from benchmarks.search_methods import Job, Sweep, space_of
from sweeps.run.trials_csv import write_trials_csv


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--level", choices=LEVELS, default="good")
    options = parser.parse_args()
    function = LEVELS[options.level]
    sweep = Sweep(space_of(function), 1, options.slots, trials=options.trials)
    suggestions: list[float] = []
    reports: list[tuple[int, float]] = []
    running: list[tuple[Job, int]] = []
    while True:
        while len(running) < options.slots:
            before = time.process_time()
            job = sweep.next_job()
            if job is None:
                break
            suggestions.append(time.process_time() - before)
            running.append((job, job.first))
        if not running:
            break
        kept = []
        for job, epoch in running:
            value = function.value(job.config, epoch, 1)
            before = time.process_time()
            ends = sweep.report(job, epoch, value)
            reports.append((len(suggestions), time.process_time() - before))
            if not ends:
                kept.append((job, epoch + 1))
        running = kept
    print(f"{options.trials} trials on {options.slots} slots, {len(reports)} reports\n")
    print("| trials begun | free slot to config: median, p99 | report to stop or go: median, p99 |\n|---|---|---|")
    for part in np.array_split(np.arange(1, len(suggestions) + 1), 4):
        taken = [seconds for begun, seconds in reports if part[0] <= begun <= part[-1]]
        cells = [_spread([suggestions[number - 1] for number in part]), _spread(taken)]
        print(f"| {part[0]} to {part[-1]} | {' | '.join(cells)} |")
    before = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        write_trials_csv(Path(folder) / "trials.csv", sweep.records, list(function.bounds))
    print(f"\ntrials.csv: {time.process_time() - before:.2f} s for {len(sweep.records)} trials")
    sweep.close()


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    return f"{1e3 * float(np.median(seconds)):.1f}, {1e3 * float(np.quantile(seconds, 0.99)):.1f} ms"


if __name__ == "__main__":
    main()
