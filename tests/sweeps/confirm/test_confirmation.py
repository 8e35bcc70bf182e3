"""Which runs confirm a search, and what their records say, without starting Ray."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeps.common.errors import RequestError
from sweeps.confirm.comparison import comparison_of
from sweeps.confirm.confirmation import Confirmation, confirmation_of, confirmed_candidates
from sweeps.confirm.plan import TWO_LOOK_DESIGN, Design
from sweeps.confirm.verdict_text import sentence
from sweeps.run.convergence_columns import convergence_by_trial
from sweeps.run.progress import Progress
from sweeps.trials.record import TrialRecord
from sweeps.tuner.api import check, confirm, seeds_to_confirm
from tests.sweeps.builders import toy_request, trial
from tests.sweeps.confirm.confirmations import SPLIT, carried_out, ended, planned, searched


def test_the_best_three_next_to_the_default_are_candidates_and_share_seeds_of_their_own() -> None:
    confirmation = planned(searched())
    due = confirmation.due(searched())
    assert [run.label for run in due[:3]] == ["candidate t0003", "candidate t0002", "candidate t0005"]
    assert {run.seed for run in due[:3]} == set(confirmation.plan.selection_seeds)
    assert all("evaluate_on" not in run.params for run in due[:3])
    assert [(run.label, run.params["evaluate_on"]) for run in due[3:]] == [("default", "test")] * 3
    assert confirmation.runs(searched()) == 9


def test_the_finalist_is_chosen_on_selection_seeds_and_then_whole_pairs_run_on_others() -> None:
    records = searched()
    confirmation = planned(records)
    first, second, third = confirmation.due(records)[:3]
    records += [ended(first, [0.7, 0.7]), ended(second, [0.6, 0.6]), ended(third, [0.5], None)]
    assert confirmation.finalist(records) is None
    assert confirmation.has_more(records)
    records[-1] = ended(third, [0.5], "failed")
    assert confirmation.finalist(records) == "t0002"
    due = confirmation.due(records)
    assert [run.label for run in due] == ["default", "finalist t0002"] * 3
    assert [run.seed for run in due[::2]] == [run.seed for run in due[1::2]]
    assert not {run.seed for run in due} & {1, *confirmation.plan.selection_seeds}


def test_where_all_candidates_diverge_the_first_is_judged_and_a_single_one_needs_no_selection() -> None:
    records = searched()
    confirmation = planned(records)
    records += [ended(run, [0.7, math.nan], "diverged") for run in confirmation.due(records)[:3]]
    assert confirmation.finalist(records) == "t0003"
    alone = planned(searched()[:2])
    assert [run.label for run in alone.due(searched()[:2])][:2] == ["default", "finalist t0002"]


def test_there_is_nothing_to_confirm_without_a_default_or_another_config() -> None:
    records = searched()
    twin = replace(trial(2, [0.5]), params=records[0].params)
    assert confirmation_of(records[1:], 1, 3, judged_params={}) is None
    assert confirmation_of([records[0], twin], 1, 3, judged_params={}) is None
    assert confirmation_of(records, 1, 0, judged_params={}) is None


def test_a_confirmation_that_was_begun_keeps_its_candidates_whatever_is_found_later() -> None:
    events = [
        {"event": "confirm_started", "trial_id": None, "candidates": ["t0002", "t0004"]},
        {"event": "confirm_started", "trial_id": None, "candidates": ["t0003"]},
    ]
    assert confirmed_candidates(events[:0]) is None
    begun = planned(searched(), candidates=confirmed_candidates(events))
    assert begun.plan.candidates == ("t0002", "t0004")


def test_more_seeds_are_added_up_to_the_next_planned_look() -> None:
    three = comparison_of(carried_out([0.7] * 3, [0.8] * 3))
    ten = comparison_of(carried_out([0.7] * 10, [0.8] * 10))
    assert three is not None
    assert ten is not None
    assert seeds_to_confirm("toy", None, None) == "auto"
    assert seeds_to_confirm("toy", three.verdict, None) == "auto"
    assert seeds_to_confirm("toy", three.verdict, 5) == 5
    for verdict, seeds in ((three.verdict, 3), (three.verdict, 11), (None, 0)):
        with pytest.raises(RequestError, match=f"--confirm-seeds {seeds}"):
            seeds_to_confirm("toy", verdict, seeds)
    with pytest.raises(RequestError, match="toy: was confirmed over 10 seeds"):
        seeds_to_confirm("toy", ten.verdict, None)
    old = replace(three.verdict, design=TWO_LOOK_DESIGN)
    assert seeds_to_confirm("toy", old, None) == 8
    sequential = replace(three.verdict, design=Design())
    with pytest.raises(RequestError, match="toy: is decided over 3 seeds: better"):
        seeds_to_confirm("toy", sequential, None)
    assert seeds_to_confirm("toy", sequential, 10) == 10


def test_a_request_for_more_seeds_than_are_judged_is_refused_and_there_must_be_a_run(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="--confirm-seeds 11: auto, or 0 to 10"):
        check(toy_request(tmp_path, confirm_seeds=11))
    with pytest.raises(RequestError, match="--smallest-gain 0:"):
        check(toy_request(tmp_path, smallest_gain_percent=0.0))
    with pytest.raises(RequestError, match="holds no run"):
        confirm(tmp_path)


def test_the_progress_counts_confirmation_runs_next_to_the_trials() -> None:
    records = carried_out([0.7] * 3, [0.8] * 3)
    request = toy_request(Path())
    progress = Progress(tuple(records), (), replace(request.budget, trials=6), 60.0, 9, 6)
    assert progress.heading.startswith("6 of 6 trials · 9 of 9 confirmation runs")
    assert progress.seconds_left == 0
    assert progress.total == progress.ended == 15


def test_the_time_left_counts_the_pairs_that_an_undecided_confirmation_will_probably_add() -> None:
    """After four of these eight pairs mean and sd promise an answer at the fifth, as likely as not in vain."""
    finalist = [0.778, 0.764, 0.756, 0.772, 0.795, 0.81, 0.781, 0.779, 0.779, 0.779]
    default = [0.798, 0.809, 0.797, 0.793, 0.799, 0.807, 0.808, 0.797, 0.797, 0.797]
    confirmation, records = sequential(finalist, default)
    fifth = [record for record in records if record.origin == "confirmation"][8:10]
    ended_last = records.index(fifth[-1])
    before = [one if one not in fifth else replace(one, status=None, reports=one.reports[:3]) for one in records]
    budget = replace(toy_request(Path()).budget, trials=6, epochs=4)
    for known in (records[: ended_last + 1], before[: ended_last + 1]):
        so_far = comparison_of(known)
        assert so_far is not None
        assert so_far.verdict.word == "undecided"
        progress = Progress(tuple(known), (), budget, 60.0, confirmation.runs(known), 6)
        a_pair = 2 * 4 * 60.0 / sum(record.epochs for record in known)
        assert progress.seconds_left is not None
        assert progress.seconds_left >= a_pair, "a pair more at least, not the last epochs of those that run"
    assert confirmation.runs(records) == len(records) - len(searched())


def test_rivals_are_judged_on_the_pairs_seeds_after_them_and_against_what_is_taken_home() -> None:
    records = searched()
    confirmation = planned(records, rivals={"scale": {"weighting": "scale"}})
    assert confirmation.runs(records) == 12
    assert [run.label for run in confirmation.due(records)[-3:]] == ["scale"] * 3
    assert all(run.params["weighting"] == "scale" and run.role == "rival" for run in confirmation.due(records)[-3:])
    ends = {"finalist": iter([0.7, 0.71, 0.69]), "default": iter([0.8, 0.81, 0.79]), "scale": iter([0.75, 0.76, 0.74])}
    while due := confirmation.due(records):
        run, side = due[0], due[0].label.split()[0]
        end = next(ends[side]) if side in ends else 0.6
        record = ended(run, [1.0, end, end, end])
        records.append(replace(record, role=run.role, trial_id=f"x{len(records)}"))
    judged = comparison_of(records)
    assert judged is not None
    assert (judged.verdict.word, judged.rivals[0].verdict.word) == ("better", "worse")
    assert judged.rivals[0].against == "finalist"
    assert judged.verdict.notes == ()
    assert judged.proven is judged.finalist
    columns = convergence_by_trial(records)
    assert len(columns) == len(records)


def sequential(finalist: list[float], default: list[float], **more: Any) -> tuple[Confirmation, list[TrialRecord]]:
    """A sequential confirmation whose runs are carried out one after the other, as long as any is due."""
    records = searched()
    confirmation = confirmation_of(records, 1, 10, Design(), judged_params=SPLIT, **more)
    assert confirmation is not None
    ends = {"finalist": iter(finalist), "default": iter(default), "scale": iter(default)}
    while due := confirmation.due(records):
        run, side = due[0], due[0].label.split()[0]
        end = next(ends[side]) if side in ends else {"candidate t0002": 0.5}.get(run.label, 0.6)
        status = "finished" if math.isfinite(end) else "diverged"
        record = ended(run, [1.0, end, end, end], status)
        records.append(replace(record, role=run.role, trial_id=f"x{len(records)}"))
    return confirmation, records


NOISY = [0.80, 0.82, 0.78, 0.81, 0.79, 0.83, 0.77, 0.8, 0.82, 0.78]


def test_a_sequential_confirmation_runs_pairs_until_it_has_an_answer_and_no_pair_more() -> None:
    clear, records = sequential([0.70, 0.71, 0.69, 0.70], [0.8] * 10)
    judged = comparison_of(records)
    assert judged is not None
    assert (judged.verdict.word, len(judged.verdict.pairs)) == ("better", 3)
    assert not clear.has_more(records)
    assert clear.runs(records) == 3 + 6
    assert clear.runs(searched()) == 3 + 2 * 5
    _, long = sequential([0.78 - 0.01 * (place % 2 * 6) for place in range(10)], NOISY)
    unclear = comparison_of(long)
    assert unclear is not None
    assert len(unclear.verdict.pairs) > 3
    assert unclear.verdict.is_final


def test_pairs_start_on_all_slots_and_count_in_their_order() -> None:
    records = searched()
    confirmation = confirmation_of(records, 1, 10, Design(), judged_params=SPLIT)
    assert confirmation is not None
    assert [run.label for run in confirmation.due(records)[3:]] == ["default"] * 3, "the finalist is not known yet"
    records += [ended(run, [0.6, 0.6]) for run in confirmation.due(records)[:3]]
    due = confirmation.due(records)
    assert len(due) == 20
    runs = [ended(run, [0.7 if "finalist" in run.label else 0.8 + run.seed / 1e6] * 4) for run in due[:8]]
    waiting = [replace(run, status=None) if run.seed == due[4].seed else run for run in runs]
    assert confirmation.due([*records, *waiting]), "the third pair still runs"
    verdict = comparison_of([*records, *waiting])
    assert verdict is not None
    assert (verdict.verdict.word, len(verdict.verdict.pairs)) == ("undecided", 2)
    assert confirmation.due([*records, *runs]) == []
    assert not confirmation.has_more([*records, *runs])


def test_rivals_of_a_sequential_confirmation_run_on_the_seeds_that_gave_the_answer() -> None:
    confirmation, records = sequential([0.70, 0.71, 0.69], [0.8] * 10, rivals={"scale": {"weighting": "scale"}})
    rivals = [record for record in records if record.role == "rival"]
    assert [rival.seed for rival in rivals] == list(confirmation.plan.confirmation_seeds[:3])
    judged = comparison_of(records)
    assert judged is not None
    assert (judged.verdict.word, judged.rivals[0].verdict.word) == ("better", "worse")


def test_a_better_finalist_is_explained_by_leaving_out_one_change_after_the_other() -> None:
    """Candidate t0002 differs from the default in its mel weight and, here, in its clip: the first carries the gain."""
    records = searched()
    records[1] = replace(records[1], params={**records[1].params, "kl_loss_weight": 1.7, "gradient_clip_norm": 0.9})
    confirmation = confirmation_of(records, 1, 10, Design(), judged_params=SPLIT, explain=True)
    assert confirmation is not None
    ends = {"candidate t0002": 0.5, "finalist t0002": 0.7, "default": 0.8, "without kl_loss_weight": 0.78}
    while due := confirmation.due(records):
        run = due[0]
        end = ends.get(run.label, 0.7 if run.label.startswith("without") else 0.6) + run.seed % 7 / 1000
        records.append(replace(ended(run, [1.0, end, end, end]), role=run.role, trial_id=f"x{len(records)}"))
    judged = comparison_of(records)
    assert judged is not None
    assert judged.verdict.word == "better"
    words = {name: one.word for name, one in judged.explained.items()}
    assert words["kl_loss_weight"] == "worse"
    assert words["gradient_clip_norm"] == "no difference"
    assert judged.rivals == ()
    text = sentence(judged.verdict)
    assert "kl_loss_weight carries gain" in text
    assert "gradient_clip_norm can stay as in the default" in text
    assert judged.to_json()["explained"]["kl_loss_weight"]["verdict"] == "worse"  # type: ignore[index]
    assert len([r for r in records if r.label == "without kl_loss_weight"]) == judged.verdict.look.seeds  # type: ignore[union-attr]


def test_a_finalist_with_fewer_changes_is_preferred_and_the_verdict_says_so() -> None:
    records = searched()
    records[2] = replace(records[2], params={**records[2].params, "kl_loss_weight": 1.7})
    confirmation = confirmation_of(records, 1, 10, Design(), judged_params=SPLIT)
    assert confirmation is not None
    ends = {"candidate t0003": 0.5, "candidate t0002": 0.503, "finalist t0002": 0.7, "default": 0.8}
    while due := confirmation.due(records):
        run = due[0]
        end = ends.get(run.label, 0.6)
        records.append(replace(ended(run, [1.0, end, end, end]), trial_id=f"x{len(records)}"))
    assert confirmation.finalist(records) == "t0002"
    judged = comparison_of(records)
    assert judged is not None
    assert "t0002 was preferred to t0003" in sentence(judged.verdict)


def test_a_run_with_two_looks_stays_with_them_whatever_is_asked_for_later() -> None:
    records = [replace(record, design=None) for record in carried_out([0.70, 0.85, 0.80], [0.8] * 3)]
    confirmation = confirmation_of(records, 1, 8, Design(), judged_params=SPLIT)
    assert confirmation is not None
    assert confirmation.design == TWO_LOOK_DESIGN
    assert {run.design for run in confirmation.due(records)} == {None}
    judged = comparison_of(records)
    assert judged is not None
    assert judged.verdict.looks == TWO_LOOK_DESIGN.looks
