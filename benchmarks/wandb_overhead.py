"""What W&B adds to a sweep: seconds that the sweep itself loses to it, and processor time of W&B's own processes.

    python benchmarks/wandb_overhead.py                     # 16 trials of 9 epochs
    python benchmarks/wandb_overhead.py --trials 100

Nothing is trained: the journal is written as fast as the disk takes it, once alone and once with W&B offline next to
it, so that all of W&B's work falls into the measured time; the record ends with nine sounds of 3 s and their mels.
In a real sweep most of it passes while trials train. Processor time is what a machine whose cores are all busy would
lose. W&B's own start, a fixed cost, is shown apart.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sweeps.common.budget import Budget  # noqa: E402
from sweeps.report import png  # noqa: E402
from sweeps.run.config import SweepConfig, sweep_yaml  # noqa: E402
from sweeps.run.folder import RunFolder, new_run, write_sweep_yaml  # noqa: E402
from sweeps.run.trials_csv import write_trials_csv  # noqa: E402
from sweeps.search.options import SearchOptions  # noqa: E402
from sweeps.space.space_file import load_space  # noqa: E402
from sweeps.trials.journal import Journal  # noqa: E402
from sweeps.tuner.api import plan_for  # noqa: E402
from sweeps.wandb import Sample, WandbLogger  # noqa: E402

METRICS = {
    "val/next": 0.4,
    "val/mel": 0.3,
    "val/kl": 0.1,
    "loss": 1.0,
    "loss_first": 2.0,
    "loss_last": 1.0,
    "loss_max": 2.0,
    "train/mel": 0.4,
    "train/kl": 0.1,
    "train/grad_norm_p50": 1.0,
    "train/grad_norm_p95": 2.0,
    "train/clip_fraction": 0.5,
    "text_use": 0.1,
    "mean_frame_error": 0.8,
}


@dataclass(frozen=True)
class Cost:
    """Wall seconds of starting, of writing the journal and of closing; processor seconds of child processes."""

    start: float
    events: float
    close: float
    processor: float

    @property
    def wall(self) -> float:
        """All of it."""
        return self.start + self.events + self.close


def main() -> None:
    """Print the costs with and without W&B, and their difference for each trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=16, help="trials (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=9, help="epochs of each (default %(default)s)")
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.trials} trials of {options.epochs} epochs\n"
    )
    with tempfile.TemporaryDirectory(prefix="wandb-overhead-") as scratch:
        none = measure(Path(scratch), 0, options.epochs, wandb=True)
        alone = measure(Path(scratch), options.trials, options.epochs, wandb=False)
        logged = measure(Path(scratch), options.trials, options.epochs, wandb=True)
    print("                          start   journal    close   processor (W&B's processes)")
    for name, cost in (("W&B, no trials", none), ("no W&B", alone), ("W&B offline", logged)):
        print(f"{name:<22}{cost.start:8.2f}s {cost.events:8.2f}s {cost.close:7.2f}s {cost.processor:8.2f}s")
    added = (logged.wall - alone.wall) / options.trials
    print(f"\nadded wall time, everything counted: {added:.3f} s a trial")
    print(f"added while trials run:              {(logged.events - alone.events) / options.trials:.3f} s a trial")
    print(f"processor time, start counted:       {logged.processor / options.trials:.3f} s a trial")
    print(f"processor time of one more trial:    {(logged.processor - none.processor) / options.trials:.3f} s")


def measure(scratch: Path, trials: int, epochs: int, *, wandb: bool) -> Cost:
    """One sweep's journal, written with or without W&B next to it."""
    request = SweepConfig(
        search=SearchOptions(),
        name=f"{'with' if wandb else 'without'}-{trials}",
        output=scratch,
        space=load_space("safe_weights"),
        trainer="tests.toy_trainer:ToyTrainer",
        data="",
        budget=Budget(max(trials, 1), epochs, None),
    )
    folder = new_run(request.output, request.name)
    write_sweep_yaml(folder, sweep_yaml(request, plan_for(request)))
    before, children = time.perf_counter(), children_seconds()
    logger = WandbLogger("offline", project="overhead", seconds=600.0)
    if wandb:
        logger.start(folder)
    started = time.perf_counter()
    write_journal(folder, request, trials, epochs)
    written = time.perf_counter()
    note = logger.end(folder, sounds(scratch) if wandb and trials else ())
    closed = time.perf_counter()
    if wandb and f"{trials + 1} runs" not in str(note):
        raise SystemExit(f"not all was recorded: {note}")
    return Cost(started - before, written - started, closed - written, children_seconds() - children)


def sounds(scratch: Path) -> list[Sample]:
    """What a real sweep closes with: three sentences by the best, its default and the recording, with their mels."""
    rng = np.random.default_rng(0)
    found = []
    for number in (1, 2, 3):
        for trial_id, what in (("t0002", "said"), ("t0002", "recording"), ("t0001", "said")):
            wav, picture = scratch / f"{number}.{trial_id}.{what}.wav", scratch / f"{number}.{trial_id}.{what}.png"
            soundfile.write(wav, rng.normal(scale=0.1, size=3 * 22_050), 22_050, subtype="PCM_16")
            picture.write_bytes(png(rng.normal(size=(258, 80)).astype(np.float32)))
            found.append(Sample(trial_id, f"sentence {number}/{what}", wav, picture, "what is said"))
    return found


def write_journal(folder: RunFolder, request: SweepConfig, trials: int, epochs: int) -> None:
    """All events of a sweep, each on the disk before the next."""
    with Journal(folder.trials_jsonl) as journal:
        for trial_id, kind, details in events(trials, epochs):
            journal.append(kind, trial_id, **details)
        write_trials_csv(folder.trials_csv, journal.records, request.columns)


def events(trials: int, epochs: int) -> Iterator[tuple[str | None, str, dict[str, object]]]:
    """What the journal of a sweep holds."""
    yield None, "sweep_started", {}
    for number in range(1, trials + 1):
        trial_id = f"t{number:04d}"
        params = {"mel_loss_weight": 1.0 + 4.0 * number / trials, "kl_loss_weight": 1.0, "gradient_clip_norm": 0.5}
        origin = "default" if number == 1 else "sobol"
        yield trial_id, "trial_started", {"role": "trial", "seed": 1, "params": params, "origin": origin, "slot": 0}
        for epoch in range(1, epochs + 1):
            counts = {"epoch": epoch, "updates": 60 * epoch, "audio_seconds": 900.0 * epoch, "seconds": 30.0 * epoch}
            yield trial_id, "report", {**METRICS, **counts, "objective": 0.5 + 0.3 / epoch}
        yield (
            trial_id,
            "trial_ended",
            {"status": "finished", "stop_reason": "all epochs", "epoch": epochs, "rung": None},
        )
    yield None, "sweep_ended", {"reason": "finished"}


def children_seconds() -> float:
    """Processor seconds of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
