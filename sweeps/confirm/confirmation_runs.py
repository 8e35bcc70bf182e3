"""The runs of a confirmation among a run's records: which they are, and what they have come to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sweeps.confirm.explain.learning_rate import PROBE, ProbedRate, probed_rates
from sweeps.confirm.learning_curve import learning_curve, mean_frame_error
from sweeps.confirm.plan import CONFIRMATION, RIVAL, ROLE, SELECTION, Design, choose_finalist
from sweeps.confirm.verdict import Verdict, judge_curves
from sweeps.trials.record import TrialRecord

DEFAULT = "default"
FINALIST = "finalist "
CANDIDATE = "candidate "
"""Labels: the default's judged runs, and before a trial's id its judged runs and those of the selection"""


def confirms(record: TrialRecord) -> bool:
    """Whether a run belongs to the confirmation, not to the search."""
    return record.origin in (SELECTION, CONFIRMATION, PROBE)


def passed_over(records: Sequence[TrialRecord], finalist: str) -> str | None:
    """The candidate that ended lower than the finalist in the selection and changes more; None where there is none."""
    ends: dict[str, list[float]] = {}
    for record in records:
        if record.role == ROLE and record.origin == SELECTION:
            ends.setdefault((record.label or "").removeprefix(CANDIDATE), []).append(end_of(record))
    best = choose_finalist(ends)
    return best if best != finalist and finalist in ends else None


def judged_runs(records: Sequence[TrialRecord]) -> tuple[str | None, dict[int, TrialRecord], dict[int, TrialRecord]]:
    """The finalist's trial id (None before it has a run), and its runs and the default's by seed."""
    finalist: str | None = None
    ours: dict[int, TrialRecord] = {}
    theirs: dict[int, TrialRecord] = {}
    for record in records:
        if record.role != ROLE or record.origin != CONFIRMATION:
            continue
        if record.label == DEFAULT:
            theirs[record.seed] = record
        else:
            finalist = (record.label or "").removeprefix(FINALIST)
            ours[record.seed] = record
    return finalist, ours, theirs


def design_of(records: Sequence[TrialRecord]) -> Design | None:
    """The plan by which the run's pairs are judged: that of the newest; None before there is one."""
    judged = [record for record in records if record.role == ROLE and record.origin == CONFIRMATION]
    return Design.from_event(judged[-1].design) if judged else None


def verdict_so_far(records: Sequence[TrialRecord]) -> Verdict | None:
    """The verdict on the pairs that have ended; None before the first has.

    Where the first look that decides ends the confirmation, the pairs count in their planned order: none that comes
    after one that still runs, so that quick runs do not choose the order.
    """
    _, ours, theirs = judged_runs(records)
    design = design_of(records)
    if design is None:
        return None
    if design.stops_early:
        running = [record.seed for runs in (ours, theirs) for record in runs.values() if record.status is None]
        first = min(running, default=None)
        if first is not None:
            ours = {seed: run for seed, run in ours.items() if seed < first}
            theirs = {seed: run for seed, run in theirs.items() if seed < first}
    verdict = judged_pairs(ours, theirs, design)
    return verdict if verdict.pairs else None


def judged_pairs(ours: Mapping[int, TrialRecord], theirs: Mapping[int, TrialRecord], design: Design) -> Verdict:
    """The verdict on two configs' runs by seed."""
    return judge_curves(
        {seed: learning_curve(run) for seed, run in ours.items()},
        {seed: learning_curve(run) for seed, run in theirs.items()},
        mean_frame_error(theirs.values()),
        design=design,
        sign=next((run.sign for run in theirs.values()), 1.0),
    )


def judged_rivals(records: Sequence[TrialRecord]) -> dict[str, dict[int, TrialRecord]]:
    """The rivals' judged runs, by the method's name and by seed."""
    found: dict[str, dict[int, TrialRecord]] = {}
    for record in records:
        if record.role == RIVAL and record.origin == CONFIRMATION:
            found.setdefault(record.label or "", {})[record.seed] = record
    return found


def rates_probed(records: Sequence[TrialRecord]) -> tuple[ProbedRate, ...]:
    """What the default ended at with each learning rate that was tried; empty until all have ended."""
    runs = [record for record in records if record.origin == PROBE]
    return probed_rates(runs, {run.trial_id: end_of(run) for run in runs})


def run_key(record: TrialRecord) -> tuple[str, str, int] | None:
    """By which a run is known again: its `Assignment.key`; None where it is not the confirmation's."""
    return (record.origin, record.label or "", record.seed) if confirms(record) else None


def end_of(run: TrialRecord) -> float:
    """The cost that a run ended at; NaN where it did not come to an end."""
    return learning_curve(run).end if run.status == "finished" else math.nan
