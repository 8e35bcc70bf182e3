"""How often a verdict is wrong: simulated sweeps through search, selection and every planned look of the real rule.

    python benchmarks/verdict_errors.py                         # noise from a stated model
    python benchmarks/verdict_errors.py --runs runs/curves/seeds-s*   # from real seeds: see benchmarks/real_curves.py
    python benchmarks/verdict_errors.py --curves curves.json    # from real seeds of your own

With five configs or more over common seeds (real_curves.py --only curves --curve-seeds 4), the first of them the
default, it also says in how many sweeps of those very configs the verdict is an answer, and after how many pairs.

curves.json holds {"config name": {"seed": [objective after epoch 1, after epoch 2, ...], ...}, ...}.
Exit code 1 where clearly more than 5 % of the calls are false, or clearly less than 80 % of true 3 % gains are found.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.recorded_curves import replay  # noqa: E402
from benchmarks.seed_noise import (  # noqa: E402
    END_EVALUATIONS,
    Array,
    Noise,
    Stored,
    curves_of_runs,
    drawn,
    measured_noise,
    modelled_noise,
)
from sweeps.confirm.decision import decide  # noqa: E402
from sweeps.confirm.learning_curve import Curve, Evaluation  # noqa: E402
from sweeps.confirm.plan import CANDIDATES, SELECTION_SEEDS, SEQUENTIAL_LOOKS  # noqa: E402
from sweeps.confirm.speed_up import speed_up_over_seeds  # noqa: E402
from sweeps.confirm.verdict import ASSUMED_SD_PERCENT, GAIN_PERCENT  # noqa: E402

TRIALS = 16
UPDATES_PER_EPOCH = 58
BLOCK = 5_000
NULL_TIMES = 3
SPEED_UP_SWEEPS = 1_000
RECORDED_SWEEPS = 2_000
SPEED_UP_PAIRS = (10, 5, 3)

EMPTY = np.empty(0)


@dataclass(frozen=True)
class Outcome:
    """What the simulated sweeps ended in: the word at each look reached, the finalist's true log effect, confirmation
    curves."""

    words: Array
    first_words: Array
    pairs: Array
    effects: Array
    default_curves: Array
    finalist_curves: Array


def simulate(
    noise: Noise, effects: Array, rng: np.random.Generator, shape_of: Array | None = None, stops: bool = False
) -> Outcome:
    """Sweeps whose trials have the true log effects [sweeps, trials] against the default: search, selection, looks.

    Trial 0 is the default where the trials' shapes are given. `stops`: trials end early by the sweep's own rule.
    """
    sweeps, trials = effects.shape
    own_default = shape_of is not None
    shape_of = rng.integers(len(noise.shapes), size=(sweeps, trials)) if shape_of is None else shape_of
    base = noise.shapes[shape_of] + effects[..., None]
    search = base + drawn(noise.shared, (sweeps, 1), rng) + drawn(noise.own, (sweeps, trials), rng)
    if stops:
        ranked = [replay(np.exp(one).tolist(), stops=True).ranking for one in search]
        top = np.array([[number for number in one if number][:CANDIDATES] for one in ranked])
    else:
        top = np.argsort(search.min(axis=2), axis=1)[:, :CANDIDATES]
    rows = np.arange(sweeps)[:, None]
    chosen = base[rows, top][:, :, None] + drawn(noise.own, (sweeps, CANDIDATES, SELECTION_SEEDS), rng)
    selection = np.log(np.exp(chosen[..., -END_EVALUATIONS:]).mean(axis=3)).mean(axis=2)
    finalist = top[rows[:, 0], selection.argmin(axis=1)]
    seeds = SEQUENTIAL_LOOKS[-1].seeds
    shared = drawn(noise.shared, (sweeps, seeds), rng)
    # Else the default learns in the finalist's shape, so that where nothing differs the true speed-up is 1.
    default_shape = noise.shapes[shape_of[:, 0] if own_default else shape_of[rows[:, 0], finalist]][:, None]
    ours = base[rows[:, 0], finalist][:, None] + shared + drawn(noise.own, (sweeps, seeds), rng)
    theirs = default_shape + shared + drawn(noise.own, (sweeps, seeds), rng)
    our_ends = np.exp(ours[..., -END_EVALUATIONS:]).mean(axis=2).tolist()
    their_ends = np.exp(theirs[..., -END_EVALUATIONS:]).mean(axis=2).tolist()
    first_words, words, pairs = [], [], []
    for our_end, their_end in zip(our_ends, their_ends, strict=True):
        said = "undecided"
        for number, look in enumerate(SEQUENTIAL_LOOKS):
            said = decide(our_end[: look.seeds], their_end[: look.seeds], look.alpha).word
            if number == 0:
                first_words.append(said)
            if said != "undecided":
                break
        words.append(said)
        pairs.append(look.seeds)
    truth = effects[rows[:, 0], finalist]
    return Outcome(np.array(words), np.array(first_words), np.array(pairs), truth, theirs, ours)


def false_speed_ups(noise: Noise, outcome: Outcome, pairs_each: int) -> tuple[int, int]:
    """Of sweeps without any true difference, how many 95 % speed-up intervals leave 1 out, and of how many."""
    if noise.mean_frame_log is None:
        return 0, 0
    error = math.exp(noise.mean_frame_log)
    count = min(SPEED_UP_SWEEPS, len(outcome.words))
    wrong = 0
    for ours, theirs in zip(outcome.finalist_curves[:count], outcome.default_curves[:count], strict=True):
        pairs = {seed: (as_curve(ours[seed]), as_curve(theirs[seed])) for seed in range(pairs_each)}
        found = speed_up_over_seeds(pairs, error, confidence=0.95)
        wrong += found is not None and not found.low <= 1 <= found.high
    return wrong, count


def as_curve(logs: Array) -> Curve:
    """A recorded curve from log objectives by epoch."""
    steps = enumerate(np.exp(logs).tolist(), start=1)
    return Curve(tuple(Evaluation(epoch * UPDATES_PER_EPOCH, epoch, epoch, epoch, value) for epoch, value in steps))


@dataclass(frozen=True)
class Rate:
    """A share of simulated sweeps with its exact 95 % interval (Clopper and Pearson 1934)."""

    hits: int
    sweeps: int

    @property
    def share(self) -> float:
        """The share itself."""
        return self.hits / self.sweeps

    @property
    def low(self) -> float:
        """The interval's lower end."""
        from scipy import stats

        return float(stats.beta.ppf(0.025, self.hits, self.sweeps - self.hits + 1)) if self.hits else 0.0

    @property
    def high(self) -> float:
        """The interval's upper end."""
        from scipy import stats

        return float(stats.beta.ppf(0.975, self.hits + 1, self.sweeps - self.hits)) if self.hits < self.sweeps else 1.0

    def __str__(self) -> str:
        return f"{100 * self.share:5.2f} % ({100 * self.low:.2f} to {100 * self.high:.2f})"


def simulate_many(noise: Noise, effects: Array, sweeps: int, rng: np.random.Generator) -> Outcome:
    """`simulate` for the trials' true log effects [trials], in blocks that fit a small memory; curves of the first
    block only."""
    sizes = [min(BLOCK, sweeps - start) for start in range(0, sweeps, BLOCK)]
    blocks: list[Outcome] = []
    for size in sizes:
        block = simulate(noise, np.tile(effects, (size, 1)), rng)
        blocks.append(replace(block, default_curves=EMPTY, finalist_curves=EMPTY) if blocks else block)
    return Outcome(
        np.concatenate([block.words for block in blocks]),
        np.concatenate([block.first_words for block in blocks]),
        np.concatenate([block.pairs for block in blocks]),
        np.concatenate([block.effects for block in blocks]),
        blocks[0].default_curves,
        blocks[0].finalist_curves,
    )


def report(noise: Noise, sweeps: int, rng: np.random.Generator) -> bool:
    """Simulate and print one noise source at its own sd; returns False where a demand is clearly missed."""
    gain = math.log1p(-GAIN_PERCENT / 100)
    alone = np.zeros(TRIALS)
    alone[0] = gain
    none = simulate_many(noise, np.zeros(TRIALS), NULL_TIMES * sweeps, rng)
    good = simulate_many(noise, np.full(TRIALS, gain), sweeps, rng)
    lone = simulate_many(noise, alone, sweeps, rng)
    false_calls = rate(np.isin(none.words, ("better", "worse")))
    found = rate(good.words == "better")
    wrong_speeds = {pairs: false_speed_ups(noise, none, pairs) for pairs in SPEED_UP_PAIRS}
    sd = 100 * noise.paired_sd
    lines: list[tuple[str, str]] = [
        (f"no trial differs from the default ({NULL_TIMES * sweeps} sweeps)", ""),
        ("  false 'better'", str(rate(none.words == "better"))),
        ("  false 'worse'", str(rate(none.words == "worse"))),
        ("  either", f"{false_calls}   at most 5 % wanted: {met(false_calls.low <= 0.05, false_calls.share <= 0.05)}"),
        ("  'no difference'", str(rate(none.words == "no difference"))),
        ("  mean pairs", f"{none.pairs.mean():5.2f}"),
        (f"the finalist is truly {GAIN_PERCENT:g} % better", ""),
        (f"  found by n = {SEQUENTIAL_LOOKS[-1].seeds}", f"{found}   at least 80 % wanted: "),
        (f"  found at n = {SEQUENTIAL_LOOKS[0].seeds} already", str(rate(good.first_words == "better"))),
        ("  called 'no difference'", str(rate(good.words == "no difference"))),
        ("  mean pairs", f"{good.pairs.mean():5.2f}"),
        (f"one trial of {TRIALS} is truly {GAIN_PERCENT:g} % better", ""),
        ("  it becomes the finalist", str(rate(lone.effects == gain))),
        ("  and is found", str(rate((lone.words == "better") & (lone.effects == gain)))),
    ]
    due = sd <= ASSUMED_SD_PERCENT + 1e-9
    power = met(found.high >= 0.8, found.share >= 0.8) if due else f"not due above an sd of {ASSUMED_SD_PERCENT:g} %"
    place = next(place for place, (label, _) in enumerate(lines) if label.startswith("  found by"))
    lines[place] = (lines[place][0], lines[place][1] + power)
    for pairs, (wrong, looked) in wrong_speeds.items():
        if looked:
            lines.insert(5, (f"  speed-up interval without 1, {pairs} pairs", str(Rate(wrong, looked))))
    print(f"\nnoise: {noise.source}; sd of paired differences {sd:.2f} % of the objective")
    for label, text in lines:
        print(f"  {label:<42}{text}".rstrip())
    return false_calls.low <= 0.05 and (not due or found.high >= 0.8)


def rate(hits: Array) -> Rate:
    """The share of True."""
    return Rate(int(hits.sum()), len(hits))


def report_recorded(stored: Stored, noises: list[Noise], sweeps: int, rng: np.random.Generator) -> None:
    """Print how sweeps of the recorded configs themselves end, for each noise, of which the first is theirs: the
    default first, others in random order, stopped by the sweep's own rule.

    The configs' effects are shrunk to their mean by the share of their spread that is noise (James and Stein 1961).
    """
    names = list(stored)
    seeds = sorted(set.intersection(*(set(stored[name]) for name in names)))
    logs = np.log([[stored[name][seed] for seed in seeds] for name in names])
    ends = logs[..., -END_EVALUATIONS:].mean(axis=2)
    effects = (ends - ends[0]).mean(axis=1)
    noise_share = noises[0].paired_sd ** 2 / len(seeds) / max(float(np.var(effects[1:], ddof=1)), 1e-12)
    middle = float(effects[1:].mean())
    effects[1:] = middle + max(0.0, 1 - noise_share) * (effects[1:] - middle)
    trials = min(TRIALS, len(names))
    chosen = np.array([[0, *(1 + rng.permutation(len(names) - 1)[: trials - 1])] for _ in range(sweeps)])
    for noise in noises:
        outcome = simulate(noise, effects[chosen], rng, shape_of=chosen, stops=True)
        gains = -100 * np.expm1(outcome.effects)
        print(
            f"\nsweeps of {trials} of the {len(names)} recorded configs ({sweeps}), {len(seeds)} seeds each; paired sd "
            f"{100 * noise.paired_sd:.2f} %"
        )
        for label, text in (
            ("the verdict is an answer", str(rate(outcome.words != "undecided"))),
            ("  'better'", str(rate(outcome.words == "better"))),
            ("  'worse'", str(rate(outcome.words == "worse"))),
            ("  'no difference'", str(rate(outcome.words == "no difference"))),
            ("mean pairs", f"{outcome.pairs.mean():5.2f}"),
            ("9 answers or more in ten sweeps", str(rate(_tens(outcome.words != "undecided") >= 9))),
            ("true gain of the finalist", f"{gains.mean():.1f} % ({np.quantile(gains, 0.1):.1f} to {gains.max():.1f})"),
        ):
            print(f"  {label:<42}{text}")


def _tens(hits: Array) -> Array:
    """How many of each ten are True."""
    return np.asarray(hits[: len(hits) // 10 * 10].reshape(-1, 10).sum(axis=1))


def met(possible: bool, measured: bool) -> str:
    """A demand in words: met as measured, met within the simulation's own error, or not."""
    return "yes" if measured else "yes, within simulation error" if possible else "NO"


def main(arguments: list[str] | None = None) -> int:
    """Run the simulation; 1 where a demand is clearly missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, nargs="+", help="run folders of configs over several seeds, never stopped")
    parser.add_argument("--curves", type=Path, help="JSON file of real seeds' curves")
    parser.add_argument("--mean-frame-error", type=float, help="of the real curves; else no speed-ups are simulated")
    parser.add_argument("--sweeps", type=int, default=20_000, help="simulated sweeps for each scenario (default 20000)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    if given.sweeps < 1:
        parser.error(f"--sweeps {given.sweeps}: at least 1")
    rng = np.random.default_rng(given.seed)
    looks = ", ".join(f"{look.seeds} at {look.alpha:g}" for look in SEQUENTIAL_LOOKS)
    print(
        f"Simulated sweeps: {TRIALS} trials searched on one seed, the top {CANDIDATES} on {SELECTION_SEEDS} seed(s) of "
        f"their own, then looks at pairs {looks}.\nShares with 95 % intervals; sd assumed: {ASSUMED_SD_PERCENT:g} %."
    )
    measures = given.curves or given.runs
    if measures:
        if given.runs:
            stored, error = curves_of_runs(given.runs)
            where = f"{len(given.runs)} runs"
        else:
            stored, error = json.loads(given.curves.read_text(encoding="utf-8")), given.mean_frame_error
            where = str(given.curves)
        measured = measured_noise(stored, error, where)
        sources = [measured, measured.scaled_to(ASSUMED_SD_PERCENT / 100)]
    else:
        sources = [modelled_noise(rng, "normal"), modelled_noise(rng, "heavy (t, 4 degrees of freedom)")]
    passed = [report(noise, given.sweeps, rng) for noise in sources]
    if measures and len(stored) > CANDIDATES + 1:
        report_recorded(stored, sources, min(given.sweeps, RECORDED_SWEEPS), rng)
    return 0 if all(passed) else 1


if __name__ == "__main__":
    raise SystemExit(main())
