"""How cost grows: with trials, with clips, and with the size of the model; exponents, and where each stops scaling.

    python benchmarks/growth.py                      # everything, about three minutes on two quiet cores
    python benchmarks/growth.py --parts records,model

`trials` runs whole sweeps of the toy trainer, which learns in no time: what is left is Ray, journal and search.
`records` writes the journal of so many trials without Ray, and then all files of a run from it, as a sweep does again
and again while it runs. `clips` links the demo speech into larger folders: features from nothing, from the cache, and
planning and collating an epoch. `model` takes optimiser steps of each preset on the same batches. An exponent is the
slope between two sizes on log axes: 1 grows as fast as the size, above 1 does not scale.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.features import multiply  # noqa: E402
from benchmarks.useful_work import flops, step_seconds  # noqa: E402
from benchmarks.wandb_overhead import write_journal  # noqa: E402
from sweeps.backend.environment import plan_for  # noqa: E402
from sweeps.common.budget import Budget  # noqa: E402
from sweeps.run.config import SweepConfig, sweep_yaml  # noqa: E402
from sweeps.run.folder import new_run, write_sweep_yaml  # noqa: E402
from sweeps.run.run import read_run  # noqa: E402
from sweeps.search.options import SearchOptions  # noqa: E402
from sweeps.space.space_file import load_space  # noqa: E402
from sweeps.tuner.api import run  # noqa: E402
from sweeps.tuner.output_files import rewrite_files  # noqa: E402
from xtts.data.build_dataset import build_dataset, no_progress  # noqa: E402
from xtts.data.splits import TRAIN  # noqa: E402
from xtts.prepare.batches import SpeechBatches  # noqa: E402
from xtts.prepare.demo_speech import demo_speech  # noqa: E402
from xtts.prepare.prepare_data import prepare_data  # noqa: E402
from xtts.training.training import Training  # noqa: E402
from xtts_sweep.integration import write_page  # noqa: E402

Row = tuple[float, float]
"""A size and its seconds."""


def main() -> None:
    """Print each part's table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="trials,records,clips,model", help="default: %(default)s")
    parser.add_argument("--most-trials", type=int, default=100, help="with Ray (default %(default)s)")
    parser.add_argument("--most-records", type=int, default=1000, help="without Ray (default %(default)s)")
    parser.add_argument("--most-clips", type=int, default=20_000, help="default: %(default)s")
    parser.add_argument("--models", default="tiny,small,base", help="default: %(default)s")
    options = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="growth-") as scratch:
        parts: dict[str, Callable[[], None]] = {
            "trials": lambda: show("sweep of the toy, trials", trials(Path(scratch), options.most_trials)),
            "records": lambda: records(Path(scratch), options.most_records),
            "clips": lambda: clips(Path(scratch), options.most_clips),
            "model": lambda: model(options.models.split(",")),
        }
        for part in options.parts.split(","):
            parts[part]()


def show(what: str, rows: Sequence[Row]) -> None:
    """Sizes, seconds, and the exponent from each size to the next."""
    print(f"\n{what}")
    for number, (size, seconds) in enumerate(rows):
        grown = ""
        if number:
            before, took = rows[number - 1]
            grown = f"   exponent {math.log(seconds / took) / math.log(size / before):5.2f}"
        print(f"  {size:>14,.0f} {seconds:10.3f} s{grown}", flush=True)


def sizes(first: int, last: int) -> list[int]:
    """From first to last, threefold each."""
    found = [first]
    while found[-1] * 3 < last:
        found.append(found[-1] * 3)
    return [*found, last] if last > first else found


def trials(scratch: Path, most: int) -> list[Row]:
    """Seconds of whole sweeps."""
    rows = []
    for count in sizes(10, most):
        request = _request(scratch, f"trials-{count}", count)
        begun = time.perf_counter()
        run(request)
        rows.append((float(count), time.perf_counter() - begun))
    return rows


def records(scratch: Path, most: int) -> None:
    """Writing the journal, and making every file of a run from it."""
    journal, files, page = [], [], []
    for count in sizes(10, most):
        request = _request(scratch, f"records-{count}", count)
        folder = new_run(request.output, request.name)
        write_sweep_yaml(folder, sweep_yaml(request, plan_for(request)))
        journal.append((float(count), timed(lambda: write_journal(folder, request, count, 9))))  # noqa: B023
        files.append((float(count), timed(lambda: rewrite_files(read_run(folder.path)))))  # noqa: B023
        page.append((float(count), timed(lambda: write_page(read_run(folder.path), "en"))))  # noqa: B023
    show("journal, trials of 9 epochs", journal)
    show("all files from the journal (trials.csv, optuna.db and the rest), trials", files)
    show("report.html, trials", page)


def clips(scratch: Path, most: int) -> None:
    """Features, the cached start, and an epoch's plan and batches."""
    speech = build_dataset(demo_speech(no_progress))
    aligned = prepare_data(None, progress=no_progress).aligned
    cache = os.environ.get("XTTS_SWEEP_CACHE")
    made, cached = [], []
    try:
        os.environ["XTTS_SWEEP_CACHE"] = str(scratch / "cache")
        for count in sizes(500, most):
            folder = multiply(speech, count, scratch / f"clips-{count}")
            made.append((float(count), timed(lambda: build_dataset(folder))))  # noqa: B023
            cached.append((float(count), timed(lambda: build_dataset(folder))))  # noqa: B023
    finally:
        if cache is None:
            os.environ.pop("XTTS_SWEEP_CACHE")
        else:
            os.environ["XTTS_SWEEP_CACHE"] = cache
    show("features from nothing, clips", made)
    show("speech from the cache, clips", cached)
    batches = SpeechBatches(aligned, aligned.speech.mel_mean, aligned.speech.mel_sd)
    train = aligned.speech.indices(TRAIN)
    planned = []
    for count in sizes(500, most):
        many = train.repeat(-(-count // len(train)))[:count]
        planned.append((float(count), timed(lambda: batches.epoch(many, 1, 1, 1000))))  # noqa: B023
    show("planning an epoch's batches, clips", planned)


def model(presets: Sequence[str]) -> None:
    """Steps of each preset on the same batches, against its FLOPs."""
    data = prepare_data(None, progress=no_progress).data
    rows = []
    print("\ntraining steps, GFLOP a step (seconds a step; GFLOP/s)")
    for preset in presets:
        trainer = Training({"model": preset, "batch_frames": 1000}, data, 1)
        items = trainer.train_batches(1)[:2]
        work = flops(trainer, items) / len(items)
        seconds = step_seconds(trainer, items, repeats=1) / len(items)
        rows.append((work / 1e9, seconds))
        count = sum(parameter.numel() for parameter in trainer.model.parameters()) / 1e6
        print(f"  {preset:<6} {count:6.1f} M parameters, {work / 1e9 / seconds:6.1f} GFLOP/s", flush=True)
    show("seconds a step by GFLOP a step", rows)


def timed(work: Callable[[], object]) -> float:
    """Seconds of it."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _request(scratch: Path, name: str, count: int) -> SweepConfig:
    return SweepConfig(
        search=SearchOptions(),
        name=name,
        output=scratch,
        space=load_space("safe_weights"),
        trainer="tests.toy_trainer:ToyTrainer",
        data="",
        budget=Budget(count, 9, None),
        confirm_seeds=0,
    )


if __name__ == "__main__":
    main()
