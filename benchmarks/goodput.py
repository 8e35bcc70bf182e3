"""How much of a sweep's wall time is learning, and the same work by the usual recipe, by plain Optuna and by nothing.

    python benchmarks/goodput.py --data DIR                    # the whole sweep, the other sides on samples
    python benchmarks/goodput.py                               # on the demo speech
    python benchmarks/goodput.py --trials 4 --epochs 3 --sample-trials 2 --sample-epochs 2

Ours is `run_sweep.py --confirm-seeds 0 --wandb offline`, timed from the command to best_config.yaml. The other sides
take the same data and model, but fewer trials and epochs, and are scaled to the trials and trial-epochs that ours came
to by what a trial and an epoch cost them (an epoch costs the same whatever its config); both are printed. Goodput is
the FLOPs of all trial-epochs over valid positions, counted by torch, over wall time x the rate of a matrix product,
measured before and after each side in this same run. The first line names the machine's load: where other programs
run, only ratios mean anything, and not much.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from benchmarks.breakdown import breakdown, first_step, turnovers  # noqa: E402
from benchmarks.stamps import Cost, Task, cost_of  # noqa: E402
from benchmarks.useful_work import EpochWork, epoch_work, free_running_share, matrix_rate  # noqa: E402
from sweeps.run.run import Run, read_run  # noqa: E402
from xtts.data.build_dataset import no_progress  # noqa: E402
from xtts.trainer import XttsTrainer  # noqa: E402
from xtts.training.training import Training  # noqa: E402

SIDES = {"floor": "no_framework.py", "optuna": "plain_optuna.py", "stock": "stock_recipe.py"}


@dataclass(frozen=True)
class Sweep:
    """Our own side."""

    run: Run
    begun: float
    best: float
    """When best_config.yaml was last written"""
    ended: float
    features: float
    """Seconds that preparing the speech takes in a new process, imports not counted"""

    @property
    def wall(self) -> float:
        """From the command to best_config.yaml."""
        return self.best - self.begun

    @property
    def epochs(self) -> int:
        """Trial-epochs in all."""
        return sum(record.epochs for record in self.run.records)


def main() -> None:
    """Run all sides, print the breakdown and the targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="a folder of speech (default: the demo speech)")
    parser.add_argument("--trials", type=int, default=16, help="of our sweep (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=9, help="full length of its trials (default %(default)s)")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--concurrent", type=int, help="trials side by side in ours (default: as it plans itself)")
    parser.add_argument("--sample-trials", type=int, default=4, help="of each other side (default %(default)s)")
    parser.add_argument("--sample-epochs", type=int, default=3, help="of those trials (default %(default)s)")
    parser.add_argument("--sides", default="floor,optuna,stock", help="which others to run (default %(default)s)")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}", flush=True)
    prepared = XttsTrainer.prepare(options.data, None, progress=no_progress)
    print(prepared.lines()[0])
    scratch = Path(tempfile.mkdtemp(prefix="goodput-"))
    try:
        rates = [matrix_rate()]
        sweep = own_sweep(options, scratch)
        rates.append(matrix_rate())
        costs: dict[str, Cost] = {}
        for side in filter(None, options.sides.split(",")):
            task = Task(
                prepared.data,
                str(scratch / side),
                tuple({"model": options.model} for _ in range(options.sample_trials)),
                options.sample_epochs,
                cores,
            )
            costs[side] = run_side(side, task, slots=cores if side == "stock" else 1)
            rates.append(matrix_rate())
        torch.set_num_threads(1)
        alone = matrix_rate(1024)
        trainer = Training({"model": options.model}, prepared.data, 1)
        free = free_running_share(trainer)
        show(sweep, costs, epoch_work(trainer), rates, alone, free)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def own_sweep(options: argparse.Namespace, scratch: Path) -> Sweep:
    """run_sweep.py from command to end; SystemExit where it fails."""
    command = [sys.executable, str(ROOT / "run_sweep.py"), "--name", "ours", "--output", str(scratch / "runs")]
    command += ["--wandb", "offline", "--confirm-seeds", "0", "--model", options.model]
    command += ["--trials", str(options.trials), "--epochs", str(options.epochs)]
    command += ["--data", options.data] if options.data else []
    command += ["--concurrent", str(options.concurrent)] if options.concurrent else []
    features = feature_seconds(options.data)
    begun = time.time()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    ended = time.time()
    if done.returncode:
        raise SystemExit(done.returncode)
    run = read_run(scratch / "runs" / "ours")
    return Sweep(run, begun, run.folder.best_config.stat().st_mtime, ended, features)


def feature_seconds(data: str | None) -> float:
    """What a command spends on speech that is in the cache, without imports."""
    program = (
        "import time\nfrom xtts.data.build_dataset import no_progress\nfrom xtts.trainer import XttsTrainer\n"
        f"begun = time.perf_counter()\nXttsTrainer.prepare({data!r}, None, progress=no_progress)\n"
        "print(time.perf_counter() - begun)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def run_side(side: str, task: Task, slots: int) -> Cost:
    """One of SIDES in a process of its own."""
    path = task.write()
    with (Path(task.folder) / "output.txt").open("w") as output:
        begun = time.time()
        command = [sys.executable, str(ROOT / "benchmarks" / SIDES[side]), str(path)]
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
        ended = time.time()
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{(Path(task.folder) / 'output.txt').read_text()[-3000:]}")
    return cost_of(Path(task.folder), begun, ended, slots)


def show(sweep: Sweep, costs: dict[str, Cost], work: EpochWork, rates: list[float], alone: float, free: float) -> None:
    """The breakdown, the sides, the targets."""
    events, slots = sweep.run.events, sweep.run.resources.concurrent
    trials, epochs = len(sweep.run.records), sweep.epochs
    parts = breakdown(events, begun=sweep.begun, ended=sweep.best, slots=slots, features=sweep.features)
    rate = statistics.median(rates)
    print(f"\nours: {trials} trials, {epochs} trial-epochs, {sweep.run.resources}")
    for part, seconds in parts.items():
        print(f"  {part:<38}{seconds:8.2f} s {100 * seconds / sweep.wall:6.1f} %")
    print(f"  {'command to best_config.yaml':<38}{sweep.wall:8.2f} s (sum {sum(parts.values()):.2f});", end=" ")
    print(f"{sweep.ended - sweep.best:.2f} s more to the end of the command")
    stamps = {str(event["event"]): float(str(event["time"])) - sweep.begun for event in reversed(events)}
    print(f"  from the command to the journal {stamps['sweep_started']:.2f} s, to the first trial", end=" ")
    print(f"{stamps['trial_started']:.2f} s, to its first step {first_step(sweep.run.events) - sweep.begun:.2f} s")
    print(f"\n{'side':<8}{'measured':>30}{'a trial':>9}{'an epoch':>10}{'scaled to ours':>16}")
    for side, cost in costs.items():
        measured = f"{cost.wall:.1f} s, {cost.trials} trials, {cost.epochs} epochs"
        scaled = cost.scaled(trials, epochs)
        print(f"{side:<8}{measured:>30}{cost.trial_seconds:8.2f}s{cost.epoch_seconds:9.2f}s{scaled:15.1f}s")
    spread = " ".join(f"{one / 1e9:.0f}" for one in rates)
    print(f"\nmatrix product {rate / 1e9:.0f} GFLOP/s on all cores (of {spread}), {alone / 1e9:.0f} on one")
    print(f"an epoch: {work.total / 1e9:.1f} GFLOP, {100 * work.useful / work.total:.1f} % of it on valid positions")
    targets(sweep, costs, work, rate, alone, parts, free)


def targets(
    sweep: Sweep,
    costs: dict[str, Cost],
    work: EpochWork,
    rate: float,
    alone: float,
    parts: dict[str, float],
    free: float,
) -> None:
    """Figure and target."""
    trials, epochs = len(sweep.run.records), sweep.epochs
    wall = {side: cost.scaled(trials, epochs) for side, cost in costs.items()}
    floor, stock = wall.get("floor"), wall.get("stock")
    trained = parts["forward, backward, optimiser"] + parts["data wait"]
    validation = parts["validation"] / (parts["validation"] + trained)
    rows: list[tuple[str, float | None, str]] = [
        ("goodput", epochs * work.useful / (sweep.wall * rate), ">= 0.55"),
        ("training step over matrix product, one thread", work.step_rate / alone, ">= 0.65"),
        ("whole sweep / floor", floor and sweep.wall / floor, "<= 1.08"),
        ("overhead / stock's overhead", floor and stock and (sweep.wall - floor) / (stock - floor), "<= 0.10"),
        ("stock / ours", stock and stock / sweep.wall, ">= 4 on demo speech"),
        ("optuna / ours", wall["optuna"] / sweep.wall if "optuna" in wall else None, ""),
        ("turnover, median s", statistics.median(turnovers(sweep.run.events) or [float("nan")]), "<= 0.3"),
        ("command to first training step, s", first_step(sweep.run.events) - sweep.begun, "< 6"),
        ("free-running validation, share of an epoch", free * validation, "<= 0.15"),
        ("all of validation, share of an epoch", validation, ""),
        (
            "records, checkpoints, W&B, s an epoch on a slot",
            (parts["checkpoints"] + parts["records, W&B and Ray between epochs"])
            * sweep.run.resources.concurrent
            / max(1, epochs),
            "< 0.15 (3 % of 5 s)",
        ),
        ("--help, s", _help_seconds(), "< 0.5"),
    ]
    print()
    for name, value, target in rows:
        if value is not None:
            print(f"{name:<50}{value:8.3f}   {target}")


def _help_seconds() -> float:
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([sys.executable, str(ROOT / "run_sweep.py"), "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


if __name__ == "__main__":
    main()
