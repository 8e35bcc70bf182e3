"""Kill -9 at random moments, each time followed by a resume: is anything lost, counted twice or left running?

    python benchmarks/kills.py                   # 50 kills over five sweeps, each against the same uninterrupted one
    python benchmarks/kills.py --kills 5 --seed 3

Each sweep is the real command line with a toy trainer, one trial at a time, so that it must come out equal to an
uninterrupted one: the same trials, stopped at the same epochs, the same curves and the same best, bit for bit. Kinds:
    driver       the command's own process
    worker       the process that trains; the session goes on by itself, and the next kill meets it
    session      everything at once: driver, workers, all of Ray
    ray          Ray's own servers; the driver has to notice, end and say so
    checkpoint   everything at once while a checkpoint is being written
A session is killed once it has reported an epoch and trained for a seeded part of what is left to train; a few are
killed while they come up. The trainer notes each epoch that it finishes in a file of its own, which tells what was
trained again. Checked after every kill: the journal's lines stay, every file can be read, no epoch older than the last
one is trained again, and nothing of the killed session runs 15 seconds later. What is violated is printed at once, and
the figures so far are in `--results` after every kill. Exit code 1 where anything is violated.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.killed_sweep import Tally, Victim  # noqa: E402
from sweeps.common.atomic_file import write_atomically  # noqa: E402
from sweeps.storage.checkpoint import BEST, load_checkpoint  # noqa: E402
from sweeps.trials.journal import read, read_events  # noqa: E402
from sweeps.trials.record import TrialRecord, best_record  # noqa: E402

KINDS = ("driver", "worker", "session", "ray", "checkpoint")


def main() -> int:
    """Kill, resume, compare; print a line for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="how many (default %(default)s)")
    parser.add_argument("--per-sweep", type=int, default=10, help="kills of one sweep (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and kinds (default %(default)s)")
    parser.add_argument("--results", type=Path, default=Path("kills.json"), help="default %(default)s")
    options = parser.parse_args()
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {line}", flush=True)

    def keep(tallies: Mapping[str, Tally]) -> None:
        write_atomically(
            options.results, json.dumps({kind: asdict(tally) for kind, tally in tallies.items()}, indent=1)
        )

    with tempfile.TemporaryDirectory(prefix="kills-", ignore_cleanup_errors=True) as scratch:
        tallies = kills(Path(scratch), options.kills, options.seed, options.per_sweep, say, keep)
    print("\n".join(table(tallies)))
    print(f"{sum(tally.kills for tally in tallies.values())} kills in {time.monotonic() - began:.0f} s")
    return int(any(tally.violations for tally in tallies.values()))


def kills(
    folder: Path,
    count: int,
    seed: int,
    per_sweep: int = 10,
    say: Callable[[str], None] = lambda line: None,
    keep: Callable[[Mapping[str, Tally]], None] = lambda tallies: None,
) -> Mapping[str, Tally]:
    """Kill sweeps `count` times and compare each with an uninterrupted one; what came of it by kind."""
    rng = random.Random(seed)
    tallies = {kind: Tally() for kind in (*KINDS, "end")}
    whole = Victim(make(folder / "whole"), rng, tallies, say)
    whole.finish()
    reports = whole.reports
    say(f"the uninterrupted sweep has trained {reports} epochs")
    due = [KINDS[number % len(KINDS)] for number in range(count)]
    rng.shuffle(due)
    number = 0
    while due:
        number += 1
        victim = Victim(make(folder / f"sweep{number}"), rng, tallies, say)
        try:
            for left in range(min(per_sweep, len(due)), 0, -1):
                kind = next_kind(due, victim.running)
                if kind is None or not victim.kill(kind, rng.uniform(0.0, min(2.0 / (left + 1), 0.9)), reports):
                    break
                due.remove(kind)
                say(f"killed {kind} at {victim.reports} of {reports} epochs, {len(due)} to come")
                keep(tallies)
            victim.finish()
        finally:
            victim.stop()
        victim.violated("end", *differences(victim.run, whole.run))
        say(f"{victim.output.name} has come to its end")
        keep(tallies)
    return tallies


def next_kind(due: Sequence[str], running: bool) -> str | None:
    """The next kind; no second worker in one session, because a trial that loses two has failed by right."""
    return next((kind for kind in due if not (running and kind == "worker")), None)


def differences(killed: Path, whole: Path) -> list[str]:
    """In what a run that was killed differs from the uninterrupted one."""
    ours, theirs = read(killed / "trials.jsonl"), read(whole / "trials.jsonl")
    problems = []
    if [outcome(record) for record in ours] != [outcome(record) for record in theirs]:
        problems.append("the trials differ from the uninterrupted sweep's")
    events = [(e["trial_id"], e["epoch"]) for e in read_events(killed / "trials.jsonl") if e["event"] == "report"]
    problems += [f"{key} was counted {times} times" for key, times in Counter(events).items() if times > 1]
    best, reference = best_record(ours), best_record(theirs)
    if best is None or reference is None or best.trial_id != reference.trial_id:
        return [*problems, "the best differs from the uninterrupted sweep's"]
    states = [load_checkpoint(run / "checkpoints" / best.trial_id / BEST).state["ballast"] for run in (killed, whole)]
    if not np.array_equal(np.asarray(states[0]), np.asarray(states[1])):
        problems.append("the best's weights differ from the uninterrupted sweep's")
    return problems


def outcome(record: TrialRecord) -> tuple[Any, ...]:
    """What must be the same, wall time aside."""
    curve = [(report["epoch"], report["objective"], report["loss"]) for report in record.reports]
    return record.trial_id, record.params, record.origin, record.status, record.epochs, record.rung, curve


def make(folder: Path) -> Path:
    """A new folder."""
    folder.mkdir(parents=True)
    return folder


def table(tallies: Mapping[str, Tally]) -> list[str]:
    """A line for each kind, then each violation."""
    lines = [
        "kind         kills  while coming up  half-written checkpoints  torn lines  epochs trained again  "
        "all gone after  problems"
    ]
    for kind in KINDS:
        tally = tallies[kind]
        lines.append(
            f"{kind:<12} {tally.kills:>5} {tally.coming_up:>16} {tally.half_written:>25} {tally.torn_lines:>11} "
            f"{tally.epochs_again:>21} {tally.slowest_end:>13.1f} s {len(tally.violations):>9}"
        )
    lines.append(f"compared with the uninterrupted sweep: {len(tallies['end'].violations)} violations")
    return [*lines, *(violation for tally in tallies.values() for violation in tally.violations)]


if __name__ == "__main__":
    sys.exit(main())
