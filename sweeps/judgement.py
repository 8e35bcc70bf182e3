"""What a run's records say of its finalist against its default: the verdict, and the config to take home."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeps.atomic_file import write_atomically
from sweeps.confirmation import DEFAULT, default_trial, judged_runs
from sweeps.records import TrialRecord, best_record
from sweeps.trial_curve import curve_of
from sweeps.verdict import Verdict, judge_curves


@dataclass(frozen=True)
class Judgement:
    """The verdict with the search's two trials that it is about, and their runs over the judged seeds."""

    verdict: Verdict
    finalist: TrialRecord
    default: TrialRecord
    runs: tuple[TrialRecord, ...]

    @property
    def proven(self) -> TrialRecord:
        """The search's trial whose config is to be used: the finalist's only where the verdict says so."""
        return self.default if self.verdict.keeps_default else self.finalist

    @property
    def proven_runs(self) -> tuple[TrialRecord, ...]:
        """The judged runs of the proven config, by ascending seed."""
        return tuple(run for run in self.runs if (run.label == DEFAULT) == (self.proven is self.default))

    def to_json(self) -> dict[str, object]:
        """The content of verdict.json."""
        return {
            **self.verdict.to_json(),
            "finalist": {"trial_id": self.finalist.trial_id, "params": dict(self.finalist.params)},
            "default": {"trial_id": self.default.trial_id, "params": dict(self.default.params)},
        }


def judgement(records: Sequence[TrialRecord]) -> Judgement | None:
    """The judgement at the last planned look that is reached; None before the first pair of runs has ended."""
    name, ours, theirs = judged_runs(records)
    default = default_trial(records)
    finalist = next((record for record in records if record.trial_id == name), None)
    if finalist is None or default is None:
        return None
    verdict = judge_curves(
        {seed: curve_of(run) for seed, run in ours.items()},
        {seed: curve_of(run) for seed, run in theirs.items()},
        _mean_frame_error(list(theirs.values())),
    )
    if verdict.word == "unconfirmed":
        return None
    runs = sorted([*ours.values(), *theirs.values()], key=lambda run: (run.seed, run.trial_id))
    return Judgement(verdict, finalist, default, tuple(runs))


def recommended(records: Sequence[TrialRecord], judged: Judgement | None) -> TrialRecord | None:
    """The trial whose config to use: the proven one, or the search's best while nothing was judged."""
    return best_record(records) if judged is None else judged.proven


def write_verdict(path: Path, judged: Judgement) -> None:
    """Replace verdict.json."""
    write_atomically(path, json.dumps(judged.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _mean_frame_error(runs: Sequence[TrialRecord]) -> float | None:
    """The error of the mean frame on the split that the pairs were judged on."""
    told = (report.get("mean_frame_error") for run in runs for report in run.reports)
    return next((float(error) for error in told if isinstance(error, (int, float))), None)
