"""Where the noise of a paired comparison comes from, and what averaging the weights does to it.

    python benchmarks/paired_noise.py record --output runs/noise.npz                 # the demo speech
    python benchmarks/paired_noise.py record --data DIR --output runs/noise-own.npz --set learning_rate=2e-3
    python benchmarks/paired_noise.py report runs/noise.npz [more of the same setting]

`record` trains configs over seeds in this process and keeps, for each epoch, the errors of every validation and test
clip with the raw weights and with averaged ones. With --nested each seed's initial weights are combined with each
seed's batch order instead of the diagonal alone. `report` prints the paired sd by kind of weights and by the number of
last evaluations that are averaged, its parts, and the rank correlation of a rung with the end.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import combinations
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from real_curves import SEEDED, sobol_configs  # noqa: E402

GAMMAS = (0.0, 16.97, 6.94)
"""Power-function averages (Karras et al. 2024, equation 6): 0 is the raw weights; the others average over about the
last 5 % and 10 % of the updates."""
KINDS = ("raw", "average 5 %", "average 10 %")
SPLITS = ("validation", "test")


def record(given: argparse.Namespace) -> None:
    """Train and keep the errors of every clip."""
    import torch

    from xtts.evaluation.evaluation import Evaluator
    from xtts.trainer import XttsTrainer
    from xtts.training.training import _SPLITS, Training, build_model

    torch.set_num_threads(given.threads)
    settings = dict(one.split("=") for one in given.set)
    shared = {name: float(value) if "." in value or "e" in value else int(value) for name, value in settings.items()}
    data = XttsTrainer.prepare(given.data, None, accept_unusable=True, progress=lambda *_: None).data
    chosen = dict(SEEDED) if given.configs is None else sobol_configs(given.configs)
    configs = {name: chosen[name] for name in list(chosen)[: given.most_configs]}
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    runs = [(init, order) for init in seeds for order in seeds if given.nested or init == order]
    rows, curves = [], []
    for name, params in configs.items():
        for init, order in runs:
            training = Training({"weight_average": 0, **shared, **params}, data, order)
            training.plan(given.epochs)
            if init != order:
                model = build_model(training.settings, len(training.batches.speech.vocabulary), init)
                training.model.load_state_dict(model.state_dict())
            device, dtype = training.parameters.flat.device, training.parameters.flat.dtype
            evaluators = [Evaluator(training.batches, _SPLITS[split], 1.0, device, dtype) for split in SPLITS]
            flat = training.parameters.flat.detach()
            averages = [flat.clone() for _ in GAMMAS]
            updates = 0
            step = training._step

            def watched(items, generator, step=step, averages=averages, flat=flat, training=training):  # type: ignore[no-untyped-def]
                row = step(items, generator)
                for gamma, average in zip(GAMMAS, averages, strict=True):
                    average.lerp_(flat, 1 - (1 - 1 / training._updates) ** (gamma + 1) if gamma else 1.0)
                return row

            training._step = watched  # type: ignore[method-assign]
            epochs, spent = [], []
            for _ in range(given.epochs):
                metrics = training.train_epoch()
                kept, found = flat.clone(), []
                begun = time.perf_counter()
                for average in averages:
                    flat.copy_(average)
                    found.append([one.objective(training.model).double().cpu().numpy() for one in evaluators])
                flat.copy_(kept)
                each = (time.perf_counter() - begun) / len(GAMMAS) / len(SPLITS)
                epochs.append(found)
                spent.append((metrics["seconds"], metrics["seconds_validation"], each))
                updates = metrics["updates"]
            curve = np.array(
                [[[_objective(one) for one in kind] for kind in epoch] for epoch in epochs]
            )  # [epochs, kinds, splits]
            last = [[np.concatenate(kind[::-1], axis=1) for kind in epoch] for epoch in epochs[-3:]]
            rows.append((name, init, order, curve, last, spent[-1]))
            test_clips = epochs[-1][0][1].shape[1]
            curves.append(curve)
            print(
                f"{name} {init}/{order}: {updates} updates, "
                + ", ".join(f"{k} {curve[-1, i, 0]:.4f}" for i, k in enumerate(KINDS)),
                flush=True,
            )
    given.output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        given.output,
        about=json.dumps({"shared": shared, "data": given.data or "demo speech", "names": [row[0] for row in rows]}),
        init=[row[1] for row in rows],
        order=[row[2] for row in rows],
        curves=np.stack(curves),
        last=np.array([row[4] for row in rows]),  # of the test clips, then the validation clips
        test_clips=test_clips,
        seconds=np.array([row[5] for row in rows]),
    )


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
    print(f"training {seconds[:, 0].mean() / epochs:.2f} s an epoch, evaluation {seconds[:, 1].mean():.2f} s")
    by = {name: [i for i, one in enumerate(names) if one == name] for name in configs}
    if len(by[configs[0]]) > 2 and len(configs) > 1:
        print("paired sd in per cent, test split (pairs of configs, over seeds); mean of the last 1, 3, 5 evaluations")
        for kind, label in enumerate(KINDS):
            line = []
            for last in (1, 3, 5):
                ends = np.log(np.exp(curves[:, -last:, kind, 1]).mean(1))
                sds = [np.std(ends[by[a]] - ends[by[b]], ddof=1) for a, b in combinations(configs, 2)]
                line.append(f"{100 * np.sqrt(np.mean(np.square(sds))):5.2f}")
            levels = [f"{a}: {np.exp(curves[by[a], -1, kind, 1].mean()):.4f}" for a in configs]
            print(f"  {label:<14}{'  '.join(line)}   objective {', '.join(levels)}")
    _clips(stored, names, by)
    if len(set(zip(stored["init"], stored["order"], strict=True))) > len(set(stored["init"])):
        _nested(stored, curves, by)
    if len(configs) > 6:
        third = curves.shape[1] // 3
        for kind, label in enumerate(KINDS):
            rung, end = curves[:, third - 1, kind, 0], np.log(np.exp(curves[:, -3:, kind, 0]).mean(1))
            better = np.argsort(end)[: len(end) // 2]
            rho, half = stats.spearmanr(rung, end)[0], stats.spearmanr(rung[better], end[better])[0]
            print(f"  rung (epoch {third}) to end, {label}: Spearman {rho:.2f}, better half {half:.2f}")


def _clips(stored: dict[str, np.ndarray], names: list[str], by: dict[str, list[int]]) -> None:
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


def _nested(stored: dict[str, np.ndarray], curves: np.ndarray, by: dict[str, list[int]]) -> None:
    """Two-way analysis of variance of the paired difference: initial weights, batch order, and both together."""
    one, other = list(by)[:2]
    inits = sorted(set(stored["init"].tolist()))
    size = len(inits)
    for kind, label in enumerate(KINDS):
        ends = np.log(np.exp(curves[:, -3:, kind, 1]).mean(1))
        table = (ends[by[one]] - ends[by[other]]).reshape(size, size)  # [init, order]
        total = table.var(ddof=1)
        rows, columns = table.mean(1).var(ddof=1), table.mean(0).var(ddof=1)
        rest = table - table.mean(1, keepdims=True) - table.mean(0, keepdims=True) + table.mean()
        both = (rest**2).sum() / (size - 1) ** 2
        parts = [max(rows - both / size, 0), max(columns - both / size, 0), both]
        shares = [100 * part / sum(parts) for part in parts]
        print(
            f"  {label}: sd {100 * np.sqrt(total):.2f} %; variance from initial weights {shares[0]:.0f} %, batch order "
            f"{shares[1]:.0f} %, both together {shares[2]:.0f} %"
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
