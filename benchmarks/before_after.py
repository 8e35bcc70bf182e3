"""The three-digit-loss story, tested: its configurations and each of their changes on its own, over several seeds.

    python benchmarks/before_after.py --data DIR --output runs/story             # seeds 1 to 3, 9 epochs, tiny
    python benchmarks/before_after.py --data DIR --output runs/story --speed --seeds 8    # "2-3x faster" alone

Runs `run_sweep.py --space before_after --data DIR --seed S` for each seed (what is there already is not run again; with
--speed the default and the old config alone) and prints a Markdown table and what holds of the story's claims.
Everything is read from the runs' trials.jsonl:

  first loss    printed weighted total of the first optimiser step, mean over seeds
  worst step    largest printed total of a single step, over all seeds
  last loss     epoch mean of the printed total in the last epoch, mean over seeds
  objective     validation error at the fixed end (mean of the last three evaluations), mean over seeds, in sd units
  change        of that objective against the default's, paired by seed: mean and 95 % t interval, in per cent
  epochs        to the 90 % target (DESIGN: 90 % of the way from the mean-frame error to the default's end), median
  speed         default's updates to that target / this config's, over seeds
  zero gradient share of steps whose gradient the loss-value clip made zero
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.real_curves import write_space  # noqa: E402
from benchmarks.recorded_runs import finished_run  # noqa: E402
from sweeps.confirm.convergence import Targets, crossings  # noqa: E402
from sweeps.confirm.learning_curve import learning_curve  # noqa: E402
from sweeps.confirm.paired_test import paired_interval  # noqa: E402
from sweeps.confirm.speed_up import TARGET_PERCENT, SpeedUpOverSeeds, speed_up_over_seeds  # noqa: E402
from sweeps.run.run import Run  # noqa: E402
from sweeps.space.space_file import load_space  # noqa: E402
from sweeps.trials.record import TrialRecord  # noqa: E402
from xtts.diagnostics.loss_story import StoryRow, story_row, success_signs  # noqa: E402

ALPHA = 0.05
OLD, WEIGHT_ALONE, EVERYTHING = "old, mel 35", "weight alone: mel 35", "everything scaled by 14: 35 / 14 / 7"


@dataclass(frozen=True)
class Config:
    """One configuration over its seeds: its records, and the default's with the same seeds."""

    label: str
    records: tuple[TrialRecord, ...]
    defaults: tuple[TrialRecord, ...]

    @property
    def story(self) -> list[StoryRow]:
        """Printed losses and zeroed gradients by seed."""
        return [story_row(record.reports) for record in self.records]

    @property
    def ends(self) -> list[float]:
        """Objective at the fixed end by seed."""
        return [learning_curve(record).end for record in self.records]

    @property
    def last_loss(self) -> float:
        """Mean printed total of the last epoch."""
        return statistics.fmean(float(str(record.last_report.get("loss"))) for record in self.records)

    @property
    def first_loss(self) -> float:
        """Mean printed total of the first step."""
        return statistics.fmean(row.loss_first or math.nan for row in self.story)

    @property
    def change(self) -> str:
        """Paired change of the objective against the default, in per cent."""
        ratios = [
            math.log(end / learning_curve(default).end) for end, default in zip(self.ends, self.defaults, strict=True)
        ]
        if not any(ratios):
            return "-"
        interval = paired_interval(ratios, ALPHA)
        mean, low, high = (100 * math.expm1(value) for value in (interval.mean, interval.low, interval.high))
        return f"{mean:+.1f} % ({low:+.1f} to {high:+.1f})"

    @property
    def epochs_to_target(self) -> str:
        """Median epochs to the default's 90 % target; how many seeds never reached it."""
        reached, missed = [], 0
        for record, default in zip(self.records, self.defaults, strict=True):
            targets = Targets.between(mean_frame_error(default), [learning_curve(default)])
            crossing = crossings(learning_curve(record), targets)[TARGET_PERCENT]
            if crossing.at is None:
                missed += 1
            else:
                reached.append(crossing.at.epochs)
        if not reached:
            return "never"
        return f"{statistics.median(reached):.1f}" + (f" ({missed} never)" if missed else "")

    def speed_against(self, other: Sequence[TrialRecord]) -> SpeedUpOverSeeds | None:
        """How many times fewer updates than `other` it takes to where 90 % of `other`'s way is done."""
        pairs = {r.seed: (learning_curve(r), learning_curve(o)) for r, o in zip(self.records, other, strict=True)}
        return speed_up_over_seeds(pairs, mean_frame_error(other[0]), confidence=1 - ALPHA)

    def row(self) -> str:
        """The row of the table."""
        story = self.story
        zero = statistics.fmean(row.zero_gradient_share or 0.0 for row in story)
        signs = [success_signs(record.reports) for record in self.records]
        kept = {
            "digits": all(sign.digits for sign in signs),
            "steady": all(sign.steady_fall for sign in signs),
            "no jumps": all(sign.no_jumps for sign in signs),
            "no crash": all(sign.no_crash for sign in signs),
        }
        missed = ", ".join(name for name, holds in kept.items() if not holds)
        speed = self.speed_against(self.defaults)
        cells = [
            self.label,
            f"{self.first_loss:.1f}",
            f"{max(row.loss_max or 0.0 for row in story):.1f}",
            f"{self.last_loss:.2f}",
            f"{statistics.fmean(self.ends):.4f}",
            self.change,
            self.epochs_to_target,
            "-" if speed is None or self.records == self.defaults else str(speed),
            f"{100 * zero:.0f} %",
            f"all but {missed}" if missed else "all",
        ]
        return "| " + " | ".join(cells) + " |"


HEAD = (
    "| configuration | first loss | worst step | last loss | objective | change (95 %) | epochs to target | speed | "
    "zero gradient | signs of success |\n|---|---|---|---|---|---|---|---|---|---|"
)


def mean_frame_error(record: TrialRecord) -> float | None:
    """What always predicting the mean frame costs on the split that the trial was judged on."""
    value = record.last_report.get("mean_frame_error")
    return float(value) if isinstance(value, (int, float)) else None


def configs_of(runs: Sequence[Run]) -> list[Config]:
    """The configurations in the space's order, each with its records by seed."""
    by_label: dict[str, list[TrialRecord]] = {}
    for run in runs:
        for record in run.records:
            by_label.setdefault(record.label or record.trial_id, []).append(record)
    defaults = tuple(next(iter(by_label.values())))
    return [Config(label, tuple(records), defaults) for label, records in by_label.items()]


def loss_claim(configs: Sequence[Config]) -> str:
    """What holds of "14x lower loss"."""
    named = {config.label: config for config in configs}
    default, old, weight, scaled = configs[0], named[OLD], named[WEIGHT_ALONE], named[EVERYTHING]
    learning = statistics.fmean(old.ends) / statistics.fmean(default.ends)
    return (
        f'"14x lower loss": the first printed loss is {old.first_loss / default.first_loss:.0f} x lower than the old '
        f"config's and the last {old.last_loss / default.last_loss:.0f} x; the error that no weight enters is "
        f"{learning:.3f} x lower. Of this, 35 instead of 2.5 on standardised mel prints "
        f"{weight.first_loss / default.first_loss:.1f} x; everything scaled by 14 prints "
        f"{scaled.first_loss / default.first_loss:.1f} x and learns the same: {scaled.change}."
    )


def speed_claim(configs: Sequence[Config]) -> str:
    """What holds of "2-3x faster"."""
    default, old = configs[0], next(config for config in configs if config.label == OLD)
    faster = default.speed_against(old.records)
    if faster is None:
        return '"2-3x faster": the old config never gets better than the mean frame, so there is no target.'
    return (
        f'"2-3x faster": to 90 % of the way to where the old config ends, the default is {faster} as fast, in updates '
        f"({faster.seeds} seeds)."
    )


def main() -> int:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a folder of speech (default: the demo speech)")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--speed", action="store_true", help="the default and the old config alone")
    given = parser.parse_args()
    space: str | Path = "before_after"
    if given.speed:
        trials = load_space("before_after").trials
        wanted = {str(one.label): dict(one.params) for one in trials if one is trials[0] or one.label == OLD}
        space = write_space(given.output / "speed.yaml", wanted)
    runs = [
        finished_run(
            f"{'speed' if given.speed else 'story'}-s{seed}",
            space,
            data=given.data,
            output=given.output,
            seed=seed,
            epochs=given.epochs,
        )
        for seed in range(1, given.seeds + 1)
    ]
    configs = configs_of(runs)
    print(HEAD)
    print("\n".join(config.row() for config in configs))
    print()
    print(speed_claim(configs) if given.speed else f"{loss_claim(configs)}\n{speed_claim(configs)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
