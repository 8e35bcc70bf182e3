"""The plan of a confirmation at work: which runs it takes, which of them can start now, and who is the finalist.

Baselines that need no sweep may be compared with the finalist: each trains once with the search's seed, to be compared
with the trials, and once for each pair of seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sweeps.confirm.confirmation_runs import (
    CANDIDATE,
    DEFAULT,
    FINALIST,
    confirms,
    design_of,
    end_of,
    judged_runs,
    rates_probed,
    run_key,
    verdict_so_far,
)
from sweeps.confirm.explain.learning_rate import PROBE, SharedRate
from sweeps.confirm.explain.runs import Explanation, changed_params
from sweeps.confirm.plan import (
    CONFIRMATION,
    EXPECTED_PAIRS,
    RIVAL,
    ROLE,
    SELECTION,
    Assignment,
    ConfirmationPlan,
    Design,
    choose_finalist,
    confirmation_plan,
    simplest,
)
from sweeps.confirm.verdict import Verdict
from sweeps.trials.event import Event
from sweeps.trials.final_values import ranked_by_end
from sweeps.trials.record import TrialRecord, default_record, searched


@dataclass(frozen=True)
class Confirmation:
    """The plan with its configs: which runs are due, and when there are enough.

    Attributes:
        plan: Candidates and seeds.
        candidates: Their configs by trial id, in the search's order.
        default: The default's config.
        judged_params: What the judged pairs add to their configs (for instance the split to evaluate on); the
            selection runs do not get it.
        rivals: Whole configs by the name of the method.
        design: The looks, and whether the first that decides ends the confirmation.
        explanation: Which runs explain the answer; None for none.
    """

    plan: ConfirmationPlan
    candidates: Mapping[str, Mapping[str, object]]
    default: Mapping[str, object]
    judged_params: Mapping[str, object]
    rivals: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    design: Design = field(default_factory=Design)
    explanation: Explanation | None = None

    def runs(self, records: Sequence[TrialRecord]) -> int:
        """How many runs it will probably take in all."""
        pairs = len(self.plan.confirmation_seeds)
        if self.design.stops_early:
            verdict = verdict_so_far(records)
            pairs = min(pairs, EXPECTED_PAIRS if verdict is None else verdict.expected_seeds)
        started = sum(confirms(record) for record in records)
        judged = (2 + len(self.rivals)) * pairs
        return max(started, len(self._selection()) + judged + self._explaining_runs(records, pairs))

    def due(self, records: Sequence[TrialRecord]) -> list[Assignment]:
        """The runs that were not started and can be, in their order.

        Until the finalist is known the default's runs fill free slots; from then on whole pairs come first, so that
        an early end leaves as many pairs as possible; the rivals come last. Once the pairs that have ended answer the
        question, no further pair is due, and the rivals are judged on the seeds that gave the answer.
        """
        started = {key for record in records if (key := run_key(record)) is not None}
        finalist = self.finalist(records)
        wanted = list(self._selection())
        seeds: Sequence[int] = self.plan.confirmation_seeds
        answered = self.answered_by(records)
        wanted_seeds = seeds if answered is None else ()
        if finalist is None and self.design.stops_early:
            wanted_seeds = wanted_seeds[: self.design.looks[0].seeds]  # those that every answer takes
        for seed in wanted_seeds:
            wanted.append(self._judged(DEFAULT, seed, self.default))
            if finalist is not None:
                wanted.append(self._judged(FINALIST + finalist, seed, self.candidates[finalist]))
        if self.design.stops_early:
            seeds = answered or () if self._pairs_ended(records) else ()
        for seed in seeds:
            wanted += [self._judged(name, seed, params, RIVAL) for name, params in self.rivals.items()]
        wanted += self._explaining(records)
        return [assignment for assignment in wanted if assignment.key not in started]

    def has_more(self, records: Sequence[TrialRecord]) -> bool:
        """Whether there are runs still to start, now or when the finalist or the best learning rate is known."""
        if self.due(records) or self.finalist(records) is None or not self._pairs_ended(records):
            return True
        searches_rate = self.explanation is not None and self.explanation.searches_rate
        return searches_rate and any(record.origin == PROBE and record.status is None for record in records)

    def answered_by(self, records: Sequence[TrialRecord]) -> Sequence[int] | None:
        """The seeds whose pairs answer the question; None while more pairs matter, or where all are to be run."""
        verdict = verdict_so_far(records) if self.design.stops_early else None
        if verdict is None or not verdict.is_final:
            return None
        return [pair.seed for pair in verdict.judged]

    def _explaining(self, records: Sequence[TrialRecord]) -> list[Assignment]:
        """The runs that explain the answer, once it is there."""
        answer, name = self._answer(records), self.finalist(records)
        if self.explanation is None or answer is None or name is None or name not in self.candidates:
            return []
        found = self.explanation.due(answer, self.candidates[name], rates_probed(records))
        return [
            self._judged(run.label, run.seed, run.params, run.role) if run.origin == CONFIRMATION else run
            for run in found
        ]

    def _explaining_runs(self, records: Sequence[TrialRecord], pairs: int) -> int:
        """How many runs explain the answer: those that are due, or the most that a better finalist takes."""
        if self.explanation is None:
            return 0
        name = self.finalist(records) or self.plan.candidates[0]
        known = self._explaining(records)
        waits = any(run.origin == PROBE for run in known) and not rates_probed(records)
        if self._answer(records) is not None and not waits:
            return len(known)
        return self.explanation.most(self.candidates[name], pairs)

    def _answer(self, records: Sequence[TrialRecord]) -> Verdict | None:
        """The verdict once its pairs are run; None before."""
        verdict = verdict_so_far(records)
        if verdict is None or verdict.look is None:
            return None
        complete = len(verdict.pairs) >= len(self.plan.confirmation_seeds)
        return verdict if complete or (self.design.stops_early and verdict.is_final) else None

    def _pairs_ended(self, records: Sequence[TrialRecord]) -> bool:
        """Whether no pair runs and none is to come."""
        if not self.design.stops_early or self.answered_by(records) is not None:
            return True
        running = any(record.status is None and confirms(record) and record.role == ROLE for record in records)
        _, ours, theirs = judged_runs(records)
        return not running and all(seed in ours and seed in theirs for seed in self.plan.confirmation_seeds)

    def finalist(self, records: Sequence[TrialRecord]) -> str | None:
        """The trial id of the candidate that its selection runs chose; None while one of them has not ended.

        Where none came to an end, the search's order decides: whoever is judged, a config that diverges wins nothing.
        """
        by_key = {run_key(record): record for record in records}
        runs = {assignment.key: by_key.get(assignment.key) for assignment in self._selection()}
        if any(run is None or run.status in (None, "budget") for run in runs.values()):
            return None
        ends: dict[str, list[float]] = {name: [] for name in self.candidates}
        for (_, label, _), run in runs.items():
            if run is not None:
                ends[label.removeprefix(CANDIDATE)].append(end_of(run))
        if not runs:
            return self.plan.candidates[0]
        changes = {name: changed_params(config, self.default) for name, config in self.candidates.items()}
        fewest = {name: len(changed) for name, changed in changes.items()}
        if not self.design.stops_hopeless:
            return choose_finalist(ends) or self.plan.candidates[0]
        return simplest(ends, fewest, self.design.smallest_gain_percent) or self.plan.candidates[0]

    def _selection(self) -> list[Assignment]:
        return [
            Assignment(SELECTION, CANDIDATE + name, seed, self.candidates[name])
            for seed in self.plan.selection_seeds
            for name in self.plan.candidates
        ]

    def _judged(self, label: str, seed: int, params: Mapping[str, object], role: str = ROLE) -> Assignment:
        design = self.design.to_event() if self.design.stops_hopeless else None
        return Assignment(CONFIRMATION, label, seed, {**params, **self.judged_params}, role, design)


def confirmation_of(
    records: Sequence[TrialRecord],
    search_seed: int,
    seeds: int,
    design: Design | None = None,
    *,
    judged_params: Mapping[str, object],
    candidates: Sequence[str] | None = None,
    rivals: Mapping[str, Mapping[str, object]] | None = None,
    explain: bool = False,
    rate: SharedRate | None = None,
) -> Confirmation | None:
    """The confirmation of a search's best over `seeds` pairs; None without a default or anything else to compare.

    `candidates` are those of a confirmation that was begun before: they stay, whatever the search found since.
    `rivals` are what each method that needs no sweep adds to the default's config. A confirmation that was begun by a
    plan of two looks stays with it. `explain` asks which change carries the gain; `rate` is the learning rate that all
    trials share, with its limits.
    """
    begun = design_of(records)
    if begun is not None and not begun.stops_hopeless:
        design = begun
    default = default_record(records)
    if default is None or seeds < 1:
        return None
    ranked = [record for record in ranked_by_end(searched(records)) if record.identity != default.identity]
    plan = confirmation_plan(
        [record.trial_id for record in ranked] if candidates is None else candidates, search_seed, confirm_seeds=seeds
    )
    if not plan.candidates:
        return None
    by_id = {record.trial_id: record.params for record in records}
    return Confirmation(
        plan,
        {name: by_id[name] for name in plan.candidates},
        default.params,
        judged_params,
        {name: {**default.params, **added} for name, added in (rivals or {}).items()},
        design or Design(),
        Explanation(default.params, explain, rate, plan.selection_seed),
    )


def confirmed_candidates(events: Sequence[Event]) -> tuple[str, ...] | None:
    """The candidates that the run's confirmation began with; None where none was begun."""
    begun = next((event for event in events if event["event"] == "confirm_started"), None)
    named = None if begun is None else begun.get("candidates")
    return tuple(map(str, named)) if isinstance(named, (list, tuple)) else None
