"""Where the noise of a paired comparison comes from, and what averaging the weights does to it.

    python benchmarks/paired_noise.py record --output runs/noise.npz                 # the demo speech
    python benchmarks/paired_noise.py record --data DIR --output runs/noise-own.npz --set learning_rate=2e-3
    python benchmarks/paired_noise.py record --nested --seeds 5 --threads 1 --output runs/nested.npz
    python benchmarks/paired_noise.py report runs/noise.npz [more of the same setting]

`record` trains configs over seeds in this process and keeps, for each epoch, the errors of every validation and test
clip with the raw weights and with averaged ones. With --nested each seed's initial weights are combined with each
seed's batch order (and voice prompts, and noise) instead of the diagonal alone, for two configs, and only the last
three epochs are kept. `report` prints the paired sd by kind of weights and by the number of last evaluations that are
averaged, its parts, and the rank correlation of a rung with the end. The demo speech is trained on with the settings of
a sweep on it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import combinations, product
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.real_curves import SEEDED, sobol_configs  # noqa: E402
from xtts.training.settings import DEMO_SETTINGS  # noqa: E402

GAMMAS = (0.0, 16.97, 6.94)
"""Power-function averages (Karras et al. 2024, equation 6): 0 is the raw weights; the others average over about the
last 5 % and 10 % of the updates."""
KINDS = ("raw", "average 5 %", "average 10 %")
LAST_EPOCHS = 3
"""What a verdict takes the mean of."""
DRAWS = 4_000


Row = tuple[str, int, int, np.ndarray, list[list[np.ndarray]], tuple[float, ...]]
"""Config, seeds of initial weights and batch order, curve [epochs, kinds, splits], sums by clip, seconds."""


def record(given: argparse.Namespace) -> None:
    """Train, and keep the errors of every clip; the file is written after each pair, so that it may be cut off."""
    import torch

    from xtts.trainer import XttsTrainer

    torch.set_num_threads(given.threads)
    settings = dict(one.split("=") for one in given.set)
    shared: dict[str, object] = {} if given.data else dict(DEMO_SETTINGS)
    shared |= {name: float(value) if "." in value or "e" in value else int(value) for name, value in settings.items()}
    if given.nested:
        shared["evaluate_on"] = "test"  # as a confirmation's runs do, which evaluate little before their end
    data = XttsTrainer.prepare(given.data, None, accept_unusable=True, progress=lambda *_: None).data
    chosen = dict(SEEDED) if given.configs is None else sobol_configs(given.configs)
    configs = {name: chosen[name] for name in list(chosen)[: 2 if given.nested else given.most_configs]}
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    cells = [(init, order) for init in seeds for order in seeds if given.nested or init == order]
    given.output.parent.mkdir(parents=True, exist_ok=True)
    about = {"shared": shared, "data": given.data or "demo speech"}
    rows: list[Row] = []
    for init, order in sorted(cells, key=max):  # ever larger squares
        for name, params in configs.items():
            params = {"weight_average": 0, **shared, **params}
            epochs = LAST_EPOCHS if given.nested else given.epochs
            row, test_clips = _trained(name, params, data, init, order, given.epochs, epochs)
            rows.append(row)
            shown = ", ".join(f"{kind} {value:.4f}" for kind, value in zip(KINDS, row[3][-1, :, 0], strict=True))
            print(f"{name} {init}/{order}: {shown}", flush=True)
        np.savez_compressed(
            given.output,
            about=json.dumps({**about, "names": [row[0] for row in rows]}),
            init=[row[1] for row in rows],
            order=[row[2] for row in rows],
            curves=np.stack([row[3] for row in rows]),
            last=np.array([row[4] for row in rows]),  # of the test clips, then the validation clips
            test_clips=test_clips,
            seconds=np.array([row[5] for row in rows]),
        )


def _trained(
    name: str, params: dict[str, object], data: str, init: int, order: int, length: int, kept: int
) -> tuple[Row, int]:
    """One run of `length` epochs and what its last `kept` epochs measure; and how many test clips there are."""
    from xtts.data.splits import TEST, VALIDATION
    from xtts.evaluation.evaluation import Evaluator
    from xtts.training.training import Training, build_model

    training = Training(params, data, order)
    training.plan(length)
    if init != order:
        model = build_model(training.settings, len(training.batches.speech.vocabulary), init)
        training.model.load_state_dict(model.state_dict())
    flat = training.parameters.flat.detach()
    evaluators = [Evaluator(training.batches, split, 1.0, flat.device, flat.dtype) for split in (VALIDATION, TEST)]
    averages = [flat.clone() for _ in GAMMAS]

    def average_weights(row: object) -> None:
        del row
        for gamma, average in zip(GAMMAS, averages, strict=True):
            average.lerp_(flat, 1 - (1 - 1 / training.global_step) ** (gamma + 1) if gamma else 1.0)

    training.on_train_batch_end = average_weights
    epochs, spent = [], (0.0, 0.0, 0.0)
    for epoch in range(1, length + 1):
        metrics = training.train_epoch()
        if epoch <= length - kept:
            continue
        raw, found = flat.clone(), []
        begun = time.perf_counter()
        for average in averages:
            flat.copy_(average)
            found.append([one.objective(training.model).double().cpu().numpy() for one in evaluators])
        flat.copy_(raw)
        each = (time.perf_counter() - begun) / len(GAMMAS) / len(evaluators)
        epochs.append(found)
        spent = (float(str(metrics["seconds"])), float(str(metrics["seconds_validation"])), each)
    curve = np.array([[[_objective(one) for one in kind] for kind in epoch] for epoch in epochs])
    last = [[np.concatenate(kind[::-1], axis=1) for kind in epoch] for epoch in epochs[-LAST_EPOCHS:]]
    return (name, init, order, curve, last, spent), epochs[-1][0][1].shape[1]


def _objective(sums: np.ndarray) -> float:
    """The objective of sums [2, clips, 8]."""
    total, values = sums.sum(1)
    return float((total[values > 0] / values[values > 0]).mean())


def report(paths: list[Path]) -> None:
    """Print what the recorded runs say; several files of one setting count as one."""
    from scipy import stats

    files = [np.load(path) for path in paths]
    abouts = [json.loads(str(one["about"])) for one in files]
    about, names = abouts[0], [name for one in abouts for name in one["names"]]
    stored = {"test_clips": files[0]["test_clips"]} | {
        key: np.concatenate([one[key] for one in files]) for key in ("init", "order", "curves", "last", "seconds")
    }
    curves = np.log(stored["curves"])  # [runs, epochs, kinds, splits]
    configs = list(dict.fromkeys(names))
    print(f"{about['data']}, {about['shared']}: {len(names)} runs of {len(configs)} configs")
    seconds = stored["seconds"]
    gains = 100 * np.expm1((curves[:, -1] - curves[:, -2]).mean(0)[:, 0])
    print("last epoch against the one before:", ", ".join(f"{gain:.1f} %" for gain in gains))
    epochs = curves.shape[1]
    print(f"training {seconds[:, 0].mean():.1f} s a run, evaluation {seconds[:, 1].mean():.2f} s")
    by = {name: [i for i, one in enumerate(names) if one == name] for name in configs}
    if len(by[configs[0]]) > 2 and len(configs) > 1:
        print("paired sd in per cent, test split (pairs of configs, over seeds); mean of the last 1, 3, 5 evaluations")
        for kind, label in enumerate(KINDS):
            line = []
            for last in (one for one in (1, 3, 5) if one <= epochs):
                ends = np.log(np.exp(curves[:, -last:, kind, 1]).mean(1))
                sds = [np.std(ends[by[a]] - ends[by[b]], ddof=1) for a, b in combinations(configs, 2)]
                line.append(f"{100 * np.sqrt(np.mean(np.square(sds))):5.2f}")
            levels = [f"{a}: {np.exp(curves[by[a], -1, kind, 1].mean()):.4f}" for a in configs]
            print(f"  {label:<14}{'  '.join(line)}   objective {', '.join(levels)}")
    if len(set(zip(stored["init"], stored["order"], strict=True))) > len(set(stored["init"])):
        _nested(stored, by)
    else:
        _clips(stored, by)
    if len(configs) > 6:
        third = curves.shape[1] // 3
        for kind, label in enumerate(KINDS):
            rung, end = curves[:, third - 1, kind, 0], np.log(np.exp(curves[:, -3:, kind, 0]).mean(1))
            better = np.argsort(end)[: len(end) // 2]
            rho, half = stats.spearmanr(rung, end)[0], stats.spearmanr(rung[better], end[better])[0]
            print(f"  rung (epoch {third}) to end, {label}: Spearman {rho:.2f}, better half {half:.2f}")


def _clips(stored: dict[str, np.ndarray], by: dict[str, list[int]]) -> None:
    """The paired sd with some of the test clips, drawn at random, and with the validation clips too."""
    configs = list(by)
    if len(configs) < 2 or len(by[configs[0]]) < 3:
        return
    last = stored["last"][:, -1]  # [runs, kinds, 2, clips, 8]
    clips, rng = int(stored["test_clips"]), np.random.default_rng(0)
    for count in (clips // 4, clips // 2, clips, last.shape[3]):
        for kind in (0, 1):
            found = []
            for _ in range(50 if count < clips else 1):
                some = np.arange(count) if count >= clips else rng.permutation(clips)[: max(2, count)]
                ends = np.array([np.log(_objective(run[kind][:, some])) for run in last])
                found += [np.var(ends[by[a]] - ends[by[b]], ddof=1) for a, b in combinations(configs, 2)]
            sd = 100 * np.sqrt(np.mean(found))
            print(f"  {KINDS[kind]}, {max(2, count)} clips: paired sd {sd:.2f} %")


def _nested(stored: dict[str, np.ndarray], by: dict[str, list[int]]) -> None:
    """The parts of a paired difference's variance: initial weights, batch order, both together, and the clips.

    Analysis of variance with three crossed random factors. What a factor does to single clips averages out over them,
    and counts as the clips' part. Intervals: mean squares redrawn from their chi-squared distributions.
    """
    one, other = list(by)[:2]
    places = list(zip(stored["init"].tolist(), stored["order"].tolist(), strict=True))
    inits, clips = sorted({init for init, _ in places}), int(stored["test_clips"])
    found = {name: {places[run]: run for run in by[name]} for name in (one, other)}
    while not all(cell in found[other] for cell in product(inits, inits)):
        inits.pop()  # of a recording that was cut off: its largest whole square
    size = len(inits)
    ours, theirs = ([found[name][cell] for cell in product(inits, inits)] for name in (one, other))
    rng = np.random.default_rng(0)
    for kind, label in enumerate(KINDS):
        sums = stored["last"][:, :, kind, :, :clips]  # [runs, epochs, 2, clips, 8]
        # A clip's share of the objective; its mean over the clips is the objective.
        shares = clips * (sums[:, :, 0] / sums[:, :, 1].sum(2, keepdims=True)).mean((1, 3))  # [runs, clips]
        level = shares[ours + theirs].mean()
        table = ((shares[ours] - shares[theirs]) / level).reshape(size, size, clips)
        total = float(table.mean(2).var(ddof=1))
        squares, freedom = _mean_squares(table)
        measured = _parts(squares, table.shape)
        drawn = squares * rng.chisquare(freedom, (DRAWS, len(freedom))) / freedom
        spread = np.array([_parts(row, table.shape) for row in drawn])
        spread = 100 * spread / spread.sum(1, keepdims=True)
        low, high = np.percentile(spread, (2.5, 97.5), axis=0)
        names = ("initial weights", "batch order", "both together", f"{clips} clips")
        parts = (
            f"{name} {100 * part / measured.sum():.0f} ({below:.0f} to {above:.0f})"
            for name, part, below, above in zip(names, measured, low, high, strict=True)
        )
        print(
            f"  {label}, {size} x {size}: sd over the cells {100 * np.sqrt(total):.2f} %, of a fresh pair "
            f"{100 * np.sqrt(measured.sum()):.2f} %; per cent of its variance: {', '.join(parts)}"
        )


def _mean_squares(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean squares of a table [initial weights, batch orders, clips] by `_EFFECTS`, and their degrees of freedom."""
    effects: dict[tuple[int, ...], np.ndarray] = {(): table.mean(keepdims=True)}
    squares, freedom = [], []
    for axes in _EFFECTS:
        mean = table.mean(tuple(axis for axis in range(3) if axis not in axes), keepdims=True)
        effects[axes] = mean - sum(effect for inner, effect in effects.items() if set(inner) < set(axes))
        degrees = int(np.prod([table.shape[axis] - 1 for axis in axes]))
        squares.append((effects[axes] ** 2).sum() * table.size / effects[axes].size / degrees)
        freedom.append(degrees)
    return np.array(squares), np.array(freedom)


_EFFECTS = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))


def _parts(squares: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Variance of a mean over the clips by initial weights, batch order, both together and clips; none below 0."""
    inits, orders, clips = shape
    init, order, _, both, init_clip, order_clip, rest = squares
    by_clip = rest + max(init_clip - rest, 0) / orders + max(order_clip - rest, 0) / inits
    return np.array(
        [
            max(init - both - init_clip + rest, 0) / orders / clips,
            max(order - both - order_clip + rest, 0) / inits / clips,
            max(both - rest, 0) / clips,
            by_clip / clips,
        ]
    )


def main() -> int:
    """Record or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("record")
    one.add_argument("--data")
    one.add_argument("--output", type=Path, required=True)
    one.add_argument("--epochs", type=int, default=9)
    one.add_argument("--seeds", type=int, default=8)
    one.add_argument("--first-seed", type=int, default=2001)
    one.add_argument("--configs", type=int, help="so many Sobol configs instead of three fixed ones")
    one.add_argument("--most-configs", type=int, default=99)
    one.add_argument("--threads", type=int, default=2)
    one.add_argument("--nested", action="store_true")
    one.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    commands.add_parser("report").add_argument("paths", type=Path, nargs="+")
    given = parser.parse_args()
    if given.command == "record":
        record(given)
    else:
        report(given.paths)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
