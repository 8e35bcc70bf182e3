"""What a run's records say of its finalist against its default: the verdict, and the recommended config."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from messages import message
from sweeps.common.atomic_file import write_atomically
from sweeps.confirm.confirmation_runs import (
    DEFAULT,
    judged_pairs,
    judged_rivals,
    judged_runs,
    passed_over,
    rates_probed,
    verdict_so_far,
)
from sweeps.confirm.explain.learning_rate import LEARNING_RATE, TUNED, RateComparison
from sweeps.confirm.explain.runs import WITHOUT
from sweeps.confirm.secondary_metrics import SecondaryMetric, judged_figures
from sweeps.confirm.verdict import Note, Verdict
from sweeps.confirm.verdict_json import verdict_to_json
from sweeps.confirm.verdict_text import Side, disagreement_notes, explanation, learning_rate_note, rival_note
from sweeps.trials.objective import number
from sweeps.trials.record import TrialRecord, default_record


@dataclass(frozen=True)
class RivalComparison:
    """A method that needs no sweep, judged as a finalist is, against the recommended config (`against`)."""

    name: str
    verdict: Verdict
    against: Side

    def to_json(self) -> dict[str, object]:
        """What verdict.json says of it."""
        stored = verdict_to_json(self.verdict)
        kept = (
            "difference_percent",
            "interval_percent",
            "confidence",
            "seeds_judged",
            "sd_percent",
            "speedup",
            "pairs",
        )
        return {"verdict": self.verdict.word, "against": self.against, **{name: stored[name] for name in kept}}


@dataclass(frozen=True)
class BreakEven:
    """Training seconds that the sweep took and that one full training saves, and the trainings until they are equal."""

    spent: float
    saved_each: float
    trainings: int


@dataclass(frozen=True)
class Comparison:
    """The verdict with the search's two trials that it is about, and their runs over the judged seeds.

    `figures` are the secondary metrics of the runs; `rivals` the baselines that need no sweep. The verdict's notes name
    those that disagree with it, or are as good.
    """

    verdict: Verdict
    finalist: TrialRecord
    default: TrialRecord
    runs: tuple[TrialRecord, ...]
    figures: tuple[SecondaryMetric, ...] = ()
    rivals: tuple[RivalComparison, ...] = ()
    break_even: BreakEven | None = None
    explained: Mapping[str, Verdict] = field(default_factory=dict)
    """The finalist without one of its changes, against the finalist, by the parameter's name"""
    rates: RateComparison | None = None
    """How much of the gain is learning rate; None where no other rate was tried"""

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
            **verdict_to_json(self.verdict),
            "finalist": {"trial_id": self.finalist.trial_id, "params": dict(self.finalist.params)},
            "default": {"trial_id": self.default.trial_id, "params": dict(self.default.params)},
            "figures": {figure.name: figure.to_json() for figure in self.figures},
            "break_even": None if self.break_even is None else asdict(self.break_even),
            "explained": {
                name: {
                    "verdict": one.word,
                    "difference_percent": one.difference_percent,
                    "interval_percent": None if one.interval_percent is None else list(one.interval_percent),
                }
                for name, one in self.explained.items()
            },
            "learning_rate": None if self.rates is None else self.rates.to_json(self.verdict),
            "rivals": {rival.name: rival.to_json() for rival in self.rivals},
        }


def comparison_of(records: Sequence[TrialRecord]) -> Comparison | None:
    """The comparison at the last planned look that is reached; None before the first pair of runs has ended."""
    name, ours, theirs = judged_runs(records)
    default = default_record(records)
    finalist = next((record for record in records if record.trial_id == name), None)
    verdict = verdict_so_far(records)
    if finalist is None or default is None or verdict is None:
        return None
    figures = judged_figures(ours, theirs, [pair.seed for pair in verdict.pairs])
    against: Side = "default" if verdict.keeps_default else "finalist"
    kept = theirs if verdict.keeps_default else ours
    # Rivals run on the seeds that gave the answer, all of them: the last look that is reached judges them.
    design = replace(verdict.design, stops_early=False)
    baselines = judged_rivals(records)
    rivals = tuple(
        RivalComparison(method, judged_pairs(runs, kept, design), against)
        for method, runs in baselines.items()
        if method != TUNED and not method.startswith(WITHOUT)
    )
    explained = {
        label.removeprefix(WITHOUT): judged_pairs(runs, ours, design)
        for label, runs in baselines.items()
        if label.startswith(WITHOUT)
    }
    rates = _rates(records, default, verdict, ours, theirs, baselines.get(TUNED, {}))
    break_even = break_even_of(records, verdict, theirs.values())
    notes = (*_notes_of(verdict, figures), *_notes_on(rivals))
    notes += tuple(explanation(name, one) for name, one in explained.items() if one.look is not None)
    if rates is not None and (rate_note := learning_rate_note(rates, verdict)) is not None:
        notes = (*notes, rate_note)
    other = passed_over(records, finalist.trial_id)
    if other is not None:
        notes = (*notes, Note.of(message("verdict.fewest_changes", finalist=finalist.trial_id, other=other)))
    if break_even is not None:
        notes = (
            *notes,
            Note.of(message("verdict.pays", hours=break_even.spent / 3600, trainings=break_even.trainings)),
        )
    verdict = replace(verdict, notes=notes)
    runs = sorted([*ours.values(), *theirs.values()], key=lambda run: (run.seed, run.trial_id))
    return Comparison(verdict, finalist, default, tuple(runs), figures, rivals, break_even, explained, rates)


def _rates(
    records: Sequence[TrialRecord],
    default: TrialRecord,
    verdict: Verdict,
    ours: Mapping[int, TrialRecord],
    theirs: Mapping[int, TrialRecord],
    tuned: Mapping[int, TrialRecord],
) -> RateComparison | None:
    """What the learning rates say that the default was tried at; None where it was not, or its runs have not ended."""
    probe, design = rates_probed(records), replace(verdict.design, stops_early=False)
    if not probe:
        return None
    found = RateComparison(LEARNING_RATE in default.params, probe)
    if not found.searched or found.best.is_own:
        return found
    return replace(found, carried=judged_pairs(tuned, theirs, design), left=judged_pairs(ours, tuned, design))


def break_even_of(
    records: Sequence[TrialRecord], verdict: Verdict, defaults: Iterable[TrialRecord]
) -> BreakEven | None:
    """After how many full trainings the sweep has paid for itself; None where no speed-up was shown."""
    speed = verdict.speed_up
    if verdict.word != "better" or speed is None or speed.value is None or speed.low <= 1:
        return None
    full = [seconds for run in defaults if run.status == "finished" and (seconds := _seconds(run))]
    spent = math.fsum(_seconds(record) for record in records)
    if not full or not spent:
        return None
    saved = math.fsum(full) / len(full) * (1 - 1 / speed.value)
    return BreakEven(spent, saved, max(1, math.ceil(spent / saved)))


def _seconds(record: TrialRecord) -> float:
    return number(record.last_report.get("seconds")) or 0.0


def _notes_of(verdict: Verdict, figures: Sequence[SecondaryMetric]) -> tuple[Note, ...]:
    return disagreement_notes(verdict, [found for figure in figures if (found := figure.difference) is not None])


def _notes_on(rivals: Sequence[RivalComparison]) -> list[Note]:
    notes = (rival_note(rival.name, rival.verdict, rival.against) for rival in rivals)
    return [note for note in notes if note is not None]


def write_verdict(path: Path, judged: Comparison, more: Mapping[str, object]) -> None:
    """Replace verdict.json; `more` is what it says of the run, such as how its data has changed since it began."""
    content = judged.to_json() | dict(more)
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
