"""Does the order of configs carry over: from a small model to a larger one, from one voice to another?

    python benchmarks/carry_over.py record runs/carry/tiny.jsonl --data DIR --minutes 4 --epochs 12
    python benchmarks/carry_over.py record runs/carry/small.jsonl --data DIR --minutes 4 --epochs 6 --model small
    python benchmarks/carry_over.py record runs/carry/demo.jsonl --epochs 12
    python benchmarks/carry_over.py compare runs/carry/tiny.jsonl runs/carry/small.jsonl
    python benchmarks/carry_over.py compare runs/carry/tiny.jsonl 'runs/demo/curves-s*'

`record` trains the default and Sobol configs of safe_weights over seeds in this process, none of them stopped, a line
of the file for each run; what is there already is not run again, and every seed is a whole side. `compare` takes such
files, or quoted globs of run folders (benchmarks/real_curves.py), and prints for each two sides how well their
orders agree, next to how well two seeds of one side do: no two sides can agree better than their noise lets them.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.real_curves import sobol_configs  # noqa: E402
from benchmarks.seed_noise import Stored, curves_of_runs  # noqa: E402
from benchmarks.verdict_errors import Rate  # noqa: E402

Array = NDArray[np.float64]

RESAMPLES = 4000
TOP = 3
MOST_CONFIGS = 64
SETTINGS = {"learning_rate": 1e-3, "batch_frames": 500, "cooldown": 0.5, "evaluate_on": "test"}
SHORTEST_CLIP, LONGEST_CLIP = 1.0, 8.0


def part_of(data: Path, minutes: float, folder: Path) -> Path:
    """A copy of so many minutes of an LJSpeech folder: clips of 1 to 8 s in a fixed random order."""
    import soundfile

    if not (folder / "metadata.csv").is_file():
        (folder / "wavs").mkdir(parents=True, exist_ok=True)
        lines = (data / "metadata.csv").read_text(encoding="utf-8").splitlines()
        random.Random(1).shuffle(lines)
        kept, seconds = [], 0.0
        for line in lines:
            clip = Path("wavs") / f"{line.partition('|')[0]}.wav"
            length = soundfile.info(data / clip).duration
            if SHORTEST_CLIP <= length <= LONGEST_CLIP and seconds < 60 * minutes:
                shutil.copy(data / clip, folder / clip)
                kept.append(line)
                seconds += length
        (folder / "metadata.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    return folder


def record(given: argparse.Namespace) -> None:
    """Train what is missing in the file."""
    import torch

    from xtts.trainer import XttsTrainer
    from xtts.training.training import Training

    torch.set_num_threads(given.threads)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    data = given.data
    if data and given.minutes:
        data = str(part_of(Path(data), given.minutes, given.output.parent / f"{Path(data).name}-{given.minutes:g}"))
    handle = XttsTrainer.prepare(data, None, accept_unusable=True, progress=lambda *_: None).data
    shared = {**SETTINGS, "model": given.model}
    done = {(run["config"], run["seed"]) for run in runs_of(given.output)}
    for seed in range(1, given.seeds + 1):
        for name, params in sobol_configs(given.configs).items():
            if (name, seed) in done:
                continue
            training = Training({**shared, **params}, handle, seed)
            training.plan(given.epochs)
            begun = time.process_time()
            reports = [training.train_epoch() for _ in range(given.epochs)]
            run: dict[str, Any] = {
                "config": name,
                "seed": seed,
                "params": params,
                "settings": shared,
                "objectives": [report["objective"] for report in reports],
                "mean_frame_error": reports[-1]["mean_frame_error"],
                "updates": reports[-1]["updates"],
                "cpu_seconds": time.process_time() - begun,
            }
            with given.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(run) + "\n")
            print(f"{name}, seed {seed}: {run['objectives'][-1]:.4f}, {run['cpu_seconds']:.0f} s", flush=True)


def runs_of(path: Path) -> list[dict[str, Any]]:
    """The runs of a file; none where it is missing."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


@dataclass(frozen=True)
class Side:
    """Log objectives at the end [configs, seeds], the default first."""

    name: str
    configs: tuple[str, ...]
    ends: Array

    @classmethod
    def read(cls, place: str, last: int = 1, seeds_wanted: int | None = None) -> Side:
        """From a file of `record`, or from the run folders that a pattern names: the mean of the last evaluations.

        Seeds that not all configs have are left out; with a number of seeds wanted, instead, the configs that have
        fewer, so that a seed that was cut off counts for the configs it has. SystemExit where nothing is left.
        """
        if place.endswith(".jsonl"):
            stored: Stored = {}
            for run in runs_of(Path(place)):
                stored.setdefault(run["config"], {})[str(run["seed"])] = run["objectives"]
        else:
            stored, _ = curves_of_runs(sorted(Path(place).parent.glob(Path(place).name)))
        if seeds_wanted:
            stored = {name: curves for name, curves in stored.items() if len(curves) >= seeds_wanted}
        seeds = sorted(set.intersection(*map(set, stored.values())))[:seeds_wanted] if stored else []
        if not seeds:
            raise SystemExit(f"{place}: no seed with a run of every config")
        ends = [[math.fsum(curves[seed][-last:]) / last for seed in seeds] for curves in stored.values()]
        return cls(Path(place).stem, tuple(stored), np.log(ends))

    def of(self, configs: Sequence[str]) -> Side:
        """With these configs alone, in this order."""
        return Side(self.name, tuple(configs), self.ends[[self.configs.index(name) for name in configs]])

    @property
    def seeds(self) -> int:
        """How many each config has."""
        return int(self.ends.shape[1])

    @cached_property
    def agreement(self) -> float | None:
        """Spearman's correlation of the configs between two of its seeds, mean over the pairs of seeds."""
        pairs = [spearman(one, other) for one, other in combinations(self.ends.T, 2)]
        return float(np.mean(pairs)) if pairs else None

    @property
    def reliability(self) -> float | None:
        """The same between the mean of its seeds and that of as many others (Spearman and Brown, 1910)."""
        one = self.agreement
        return None if one is None or one <= 0 else self.seeds * one / (1 + (self.seeds - 1) * one)

    @cached_property
    def effects(self) -> Array:
        """Log difference to the default, mean over seeds."""
        mean: Array = (self.ends - self.ends[0]).mean(axis=1)
        return mean

    @cached_property
    def margin(self) -> float:
        """Half of the 95 % interval of an effect: by t, from the paired differences of all configs together."""
        differences = (self.ends - self.ends[0])[1:]
        degrees = (len(differences)) * (self.seeds - 1)
        if not degrees:
            return math.inf
        variance = float(((differences - differences.mean(axis=1, keepdims=True)) ** 2).sum()) / degrees
        return float(stats.t.ppf(0.975, degrees)) * math.sqrt(variance / self.seeds)

    def word(self, config: int) -> str:
        """A config against the default: better, worse or not clear."""
        effect = self.effects[config]
        return "not clear" if abs(effect) <= self.margin else "better" if effect < 0 else "worse"

    def resampled(self, configs: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Means over seeds drawn again [resamples, configs] of the configs drawn [resamples, configs]."""
        seeds = rng.integers(self.seeds, size=(len(configs), 1, self.seeds))
        means: Array = self.ends[configs[:, :, None], seeds].mean(axis=2)
        return means


def spearman(one: Array, other: Array) -> Array:
    """Spearman's correlation along the last axis; NaN where one side has no order."""
    ranks = [stats.rankdata(side, axis=-1) for side in (one, other)]
    x, y = (rank - rank.mean(axis=-1, keepdims=True) for rank in ranks)
    with np.errstate(invalid="ignore"):
        found: Array = (x * y).sum(axis=-1) / np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return found


@dataclass(frozen=True)
class CarryOver:
    """How well two sides with the same configs agree."""

    one: Side
    other: Side
    resamples: int = RESAMPLES

    @classmethod
    def between(cls, one: Side, other: Side) -> CarryOver:
        """Over the configs that both have; SystemExit with fewer than four."""
        common = [name for name in one.configs if name in other.configs]
        if len(common) < 4:
            raise SystemExit(f"{one.name} and {other.name} have {len(common)} configs in common; at least 4 are needed")
        return cls(one.of(common), other.of(common))

    @cached_property
    def correlation(self) -> float:
        """Spearman's, of the means over seeds."""
        return float(spearman(self.one.ends.mean(axis=1), self.other.ends.mean(axis=1)))

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 %, by drawing configs and each side's seeds again."""
        rng = np.random.default_rng(1)
        count = len(self.one.configs)
        configs = rng.integers(count, size=(self.resamples, count))
        found = spearman(self.one.resampled(configs, rng), self.other.resampled(configs, rng))
        low, high = np.nanquantile(found, (0.025, 0.975))
        return float(low), float(high)

    @property
    def ceiling(self) -> float | None:
        """The correlation that noise leaves to two sides that agree; None where a side's own is not known."""
        one, other = self.one.reliability, self.other.reliability
        return None if one is None or other is None else math.sqrt(one * other)

    @property
    def chance(self) -> float:
        """Two-sided probability of so strong a correlation where the sides have nothing in common, by permutation."""
        rng = np.random.default_rng(1)
        ranks = stats.rankdata(self.other.ends.mean(axis=1))
        orders = rng.permuted(np.tile(ranks, (self.resamples, 1)), axis=1)
        found = np.abs(spearman(np.tile(self.one.ends.mean(axis=1), (self.resamples, 1)), orders))
        return float((1 + (found >= abs(self.correlation) - 1e-12).sum()) / (1 + self.resamples))

    @property
    def top(self) -> int:
        """How many of one side's lowest three are among the other's."""
        first, second = (set(np.argsort(side.ends.mean(axis=1))[:TOP]) for side in (self.one, self.other))
        return len(first & second)

    @property
    def same_signs(self) -> Rate:
        """Configs that are on the same side of the default on both."""
        signs = np.sign(self.one.effects[1:]) == np.sign(self.other.effects[1:])
        return Rate(int(signs.sum()), len(signs))

    @property
    def words(self) -> tuple[int, int, int]:
        """Configs that both sides tell from the default: with the same word, with opposite words; and the others."""
        pairs = [(self.one.word(n), self.other.word(n)) for n in range(1, len(self.one.configs))]
        clear = [pair for pair in pairs if "not clear" not in pair]
        same = sum(first == second for first, second in clear)
        return same, len(clear) - same, len(pairs) - len(clear)

    def taken(self) -> tuple[str, float, int, float]:
        """The config that the first side would take: its name, then on the other side its gain in per cent, its rank,
        and the gain of that side's own best."""
        best = int(self.one.effects.argmin())
        rank = int(stats.rankdata(self.other.effects, method="min")[best])
        gains = -100 * np.expm1(self.other.effects)
        return self.one.configs[best], float(gains[best]), rank, float(gains.max())


def lines(found: CarryOver) -> list[str]:
    """What there is to say, as text."""
    one, other, count = found.one, found.other, len(found.one.configs)
    ceiling = "not known" if found.ceiling is None else f"{found.ceiling:+.2f}"
    low, high = found.interval
    rows = [
        f"{one.name} (seeds: {one.seeds}) against {other.name} (seeds: {other.seeds}), {count} configs",
        f"  Spearman {found.correlation:+.2f} (95 % interval {low:+.2f} to {high:+.2f}; {found.chance:.4f} by chance), "
        f"ceiling by noise {ceiling}",
    ]
    for side in (one, other):
        if side.agreement is None:
            rows.append(f"  seed to seed within {side.name}: not known, nor how well its effects are known")
            continue
        rows.append(
            f"  seed to seed within {side.name}: {side.agreement:+.2f}; "
            f"effects are known to +- {100 * side.margin:.1f} %"
        )
    for first in (found, CarryOver(other, one)):
        name, gain, rank, most = first.taken()
        rows.append(
            f"  the best of {first.one.name}, {name}, gains {gain:+.1f} % on {first.other.name}: "
            f"rank {rank} of {count}, where the best gains {most:+.1f} %"
        )
    for ratio, values in ratios(one.configs).items():
        sides = (f"{float(spearman(values, side.effects)):+.2f} {side.name}" for side in (one, other))
        rows.append(f"  rank correlation of the effects with {ratio}: {', '.join(sides)}")
    same, opposite, rest = found.words
    rows += [
        f"  {found.top} of the lowest {TOP} are the same (by chance {TOP * TOP / count:.1f})",
        f"  on the same side of the default: {found.same_signs.hits} of {found.same_signs.sweeps}, {found.same_signs}",
        f"  told from the default on both: {same} with the same word, {opposite} with opposite words; {rest} not clear",
    ]
    for number, name in enumerate(one.configs[1:], start=1):
        effects = (f"{100 * math.expm1(side.effects[number]):+6.1f} % {side.word(number):<9}" for side in (one, other))
        sign = "same sign" if one.effects[number] * other.effects[number] > 0 else "opposite sign"
        rows.append(f"    {name:<12}{'  '.join(effects)}  {sign}")
    return rows


def ratios(configs: Sequence[str]) -> dict[str, Array]:
    """The ratios that act under AdamW, of each config; nothing for configs of other names than sobol_configs gives."""
    known = sobol_configs(MOST_CONFIGS)
    if not set(configs) <= set(known):
        return {}
    mel, kl, clip = (
        np.array([float(str(known[config][name])) for config in configs])
        for name in ("mel_loss_weight", "kl_loss_weight", "gradient_clip_norm")
    )
    return {"mel/kl": mel / kl, "clip/mel": clip / mel}


def compare(places: Sequence[str], last: int, seeds: int | None) -> None:
    """Print each two sides."""
    sides = [Side.read(place, last, seeds) for place in places]
    for one, other in combinations(sides, 2):
        print("\n".join(lines(CarryOver.between(one, other))))


def main() -> int:
    """Record or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="train what is missing in a file")
    recording.add_argument("output", type=Path)
    recording.add_argument("--data", help="a folder of speech (default: the demo speech)")
    recording.add_argument("--minutes", type=float, help="only so many minutes of the folder's clips of 1 to 8 s")
    recording.add_argument("--model", default="tiny")
    recording.add_argument("--epochs", type=int, default=12)
    recording.add_argument("--configs", type=int, default=11)
    recording.add_argument("--seeds", type=int, default=2)
    recording.add_argument("--threads", type=int, default=1)
    comparing = commands.add_parser("compare", help="print how well sides agree")
    comparing.add_argument("sides", nargs="+", help="files of `record`, or quoted patterns of run folders")
    comparing.add_argument("--last", type=int, default=1, help="so many last evaluations are an end (default 1)")
    comparing.add_argument(
        "--seeds", type=int, help="so many seeds, of the configs that have them (default: whole seeds)"
    )
    given = parser.parse_args()
    if given.command == "record":
        record(given)
    else:
        compare(given.sides, given.last, given.seeds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
