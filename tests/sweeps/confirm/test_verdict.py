"""The words that paired seeds earn, how rarely they are wrong, and what stands in verdict.json."""

from __future__ import annotations

import json
import math

import pytest

from sweeps.confirm.learning_curve import Curve, Evaluation
from sweeps.confirm.plan import (
    SEQUENTIAL_LOOKS,
    TWO_LOOK_DESIGN,
    TWO_LOOKS,
    Design,
)
from sweeps.confirm.verdict import ends_by_seed, judge, judge_curves
from sweeps.confirm.verdict_json import verdict_to_json
from sweeps.confirm.verdict_text import sentence
from tests.sweeps.confirm.paired_seeds import DEFAULT, SHARED, finalist

ALL_PAIRS = Design(stops_early=False)


def test_a_gain_clear_of_0_is_better_and_the_config_is_not_the_default() -> None:
    verdict = judge(finalist(0.03), DEFAULT)
    assert verdict.word == "better"
    assert verdict.difference_percent == pytest.approx(-3.0, abs=0.1)
    assert verdict.interval_percent is not None
    assert verdict.interval_percent[1] < 0
    assert not verdict.keeps_default


def test_a_loss_clear_of_0_is_worse_and_keeps_the_default() -> None:
    verdict = judge(finalist(-0.03), DEFAULT)
    assert verdict.word == "worse"
    assert verdict.keeps_default


def test_an_interval_inside_1_per_cent_is_no_difference_even_where_it_leaves_0_out() -> None:
    assert judge(finalist(0.0), DEFAULT).word == "no difference"
    sure_but_small = judge(finalist(0.005, wobble=0.3), DEFAULT, design=ALL_PAIRS)
    assert sure_but_small.interval_percent is not None
    assert sure_but_small.interval_percent[1] < 0
    assert sure_but_small.word == "no difference"


def test_a_wide_interval_is_undecided_and_says_how_many_seeds_it_would_take() -> None:
    verdict = judge(finalist(0.015, wobble=6), DEFAULT)
    assert verdict.word == "undecided"
    assert verdict.keeps_default
    assert verdict.seeds_to_decide is not None
    assert verdict.seeds_to_decide > 8
    assert f"About {verdict.seeds_to_decide} seeds" in sentence(verdict)
    assert "`confirm` runs more, up to 10" in sentence(verdict)
    assert "Power for a true 3 % gain" in sentence(verdict)


def test_a_run_that_was_planned_with_two_looks_is_judged_by_them() -> None:
    early = judge(finalist(0.03, wobble=3, count=3), DEFAULT, design=TWO_LOOK_DESIGN)
    late = judge(finalist(0.03, wobble=3), DEFAULT, design=TWO_LOOK_DESIGN)
    assert early.look == TWO_LOOKS[0]
    assert (early.word, late.word) == ("undecided", "better")
    assert "the next planned look is at 8" in sentence(early)


@pytest.mark.parametrize("count", [3, 4, 7])
def test_between_the_planned_looks_nothing_is_judged_anew(count: int) -> None:
    judged = judge(finalist(0.03, count=count), DEFAULT, design=TWO_LOOK_DESIGN)
    first = judge(finalist(0.03, count=3), DEFAULT, design=TWO_LOOK_DESIGN)
    assert (judged.look, judged.interval_percent) == (first.look, first.interval_percent)
    assert len(judged.pairs) == count


def test_beyond_the_last_look_more_seeds_change_nothing() -> None:
    more = {**finalist(0.0), 2009: 0.1, 2010: 0.1}
    base = {**DEFAULT, 2009: 0.5, 2010: 0.5}
    old = {"design": TWO_LOOK_DESIGN}
    assert judge(more, base, **old).interval_percent == judge(finalist(0.0), DEFAULT, **old).interval_percent


def test_the_first_look_that_decides_ends_a_sequential_confirmation() -> None:
    three = judge(finalist(0.03, count=3), DEFAULT)
    all_pairs = judge(finalist(0.03), DEFAULT)
    assert (three.word, three.is_final, three.next_look) == ("better", True, None)
    assert (all_pairs.look, all_pairs.interval_percent) == (three.look, three.interval_percent)
    assert len(all_pairs.pairs) == 8
    chosen = judge(finalist(0.03), DEFAULT, design=ALL_PAIRS)
    assert chosen.look is not None
    assert chosen.look.seeds == 8
    assert not chosen.is_final


def test_the_sequence_of_looks_narrows_until_it_decides() -> None:
    verdict = judge(finalist(0.03, wobble=4), DEFAULT)
    assert [one.pairs for one in verdict.sequence] == list(range(3, verdict.sequence[-1].pairs + 1))
    assert [one.decision for one in verdict.sequence[:-1]] == ["undecided"] * (len(verdict.sequence) - 1)
    last = verdict.sequence[-1]
    assert last.decision == verdict.word == "better"
    assert verdict.interval_percent == (last.low, last.high)
    widths = [(one.high or 0.0) - (one.low or 0.0) for one in verdict.sequence]
    assert widths[-1] < widths[0]
    assert verdict_to_json(verdict)["sequence"][-1]["pairs"] == last.pairs


def test_a_gain_that_is_ruled_out_ends_in_no_difference_and_says_so() -> None:
    verdict = judge(finalist(-0.008, wobble=4), DEFAULT)
    assert (verdict.word, verdict.reason) == ("no difference", "hopeless")
    assert "A gain of 1 % or more is ruled out" in sentence(verdict)
    assert "Keep the default" in sentence(verdict)
    patient = judge(finalist(-0.008, wobble=4), DEFAULT, design=Design(smallest_gain_percent=5.0))
    assert patient.word == "no difference"
    old = judge(finalist(-0.008, wobble=4, count=3), DEFAULT, design=TWO_LOOK_DESIGN)
    assert old.word == "undecided"


def test_after_a_divergence_the_confirmation_ends_when_no_look_can_decide() -> None:
    open_still = judge({**finalist(0.03, count=3), 2001: math.nan, 2002: math.nan, 2003: math.nan}, DEFAULT)
    assert (open_still.word, open_still.is_final) == ("undecided", False)
    mixed = judge({**finalist(0.03, count=4), 2001: math.nan}, DEFAULT)
    assert (mixed.word, mixed.is_final) == ("undecided", True)


def test_expected_seeds_stay_between_the_next_look_and_the_last() -> None:
    assert judge({}, {}).expected_seeds == 5
    assert judge(finalist(0.03, count=3), DEFAULT).expected_seeds == 3
    assert 4 <= judge(finalist(0.02, wobble=5, count=3), DEFAULT).expected_seeds <= 10


def test_the_noisier_the_pairs_the_more_of_them_are_expected_and_never_only_the_next_one_by_default() -> None:
    nearly = judge(finalist(0.03, wobble=5, count=3), DEFAULT)
    far = judge(finalist(0.005, wobble=20, count=3), DEFAULT)
    assert nearly.word == far.word == "undecided"
    assert nearly.expected_seeds < far.expected_seeds
    turned = judge({seed: -1 / value for seed, value in finalist(0.03, wobble=5, count=3).items()}, DEFAULT)
    assert turned.expected_seeds >= turned.design.looks[0].seeds
    diverged = judge({**finalist(0.03, count=3), 2001: math.nan, 2002: math.nan, 2003: math.nan}, DEFAULT)
    assert diverged.expected_seeds == 10


def test_fewer_seeds_than_the_first_look_are_undecided_and_none_are_unconfirmed() -> None:
    two = judge(finalist(0.03, count=2), DEFAULT)
    assert (two.word, two.look, two.keeps_default) == ("undecided", None, True)
    none = judge({}, {})
    assert (none.word, none.keeps_default) == ("unconfirmed", False)
    assert "`confirm`" in sentence(none)


def test_seeds_that_only_one_side_has_are_left_out() -> None:
    lopsided = judge(finalist(0.03), {seed: value for seed, value in DEFAULT.items() if seed != 2004})
    assert [pair.seed for pair in lopsided.pairs] == [2001, 2002, 2003, 2005, 2006, 2007, 2008]
    assert lopsided.look == SEQUENTIAL_LOOKS[0]


def test_the_order_in_which_seeds_came_back_changes_nothing() -> None:
    backwards = dict(reversed(finalist(0.02, wobble=4).items()))
    assert judge(backwards, DEFAULT) == judge(finalist(0.02, wobble=4), DEFAULT)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("seed", [2001, 2005, 2008])
def test_a_finalist_that_diverged_on_one_seed_is_never_better(bad: float, seed: int) -> None:
    verdict = judge({**finalist(0.2), seed: bad}, DEFAULT)
    assert verdict.word == "undecided"
    assert "diverged" in verdict.reason
    assert "Keep the default" in sentence(verdict)
    assert verdict_to_json(verdict)["diverged"] == {"finalist": [seed], "default": []}


def test_a_finalist_that_diverges_every_time_is_worse_at_the_second_look() -> None:
    verdict = judge(dict.fromkeys(DEFAULT, math.nan), DEFAULT)
    assert (verdict.word, verdict.difference_percent) == ("worse", None)
    assert judge(dict.fromkeys(list(DEFAULT)[:3], math.nan), DEFAULT).word == "undecided"


def test_a_default_that_diverges_loses_to_a_finalist_that_does_not() -> None:
    assert judge(finalist(0.03), dict.fromkeys(DEFAULT, math.nan)).word == "better"
    assert judge(finalist(0.03), {**DEFAULT, 2003: math.nan}).word == "better"
    assert judge(finalist(-0.03), {**DEFAULT, 2003: math.nan}).word == "undecided"
    assert judge(finalist(-0.03), {**DEFAULT, 2003: math.nan}).is_final


def test_both_diverging_decides_nothing() -> None:
    nothing = dict.fromkeys(DEFAULT, math.nan)
    assert judge(nothing, nothing).word == "undecided"


def test_identical_runs_are_no_difference() -> None:
    verdict = judge(DEFAULT, DEFAULT)
    assert (verdict.word, verdict.difference_percent, verdict.interval_percent) == ("no difference", 0.0, (0.0, 0.0))


def test_an_objective_at_or_below_0_is_compared_by_differences_in_its_own_unit() -> None:
    ours, theirs = ({seed: value - 0.56 for seed, value in side.items()} for side in (finalist(0.03), DEFAULT))
    verdict = judge(ours, theirs)
    assert verdict.word == "better"
    assert verdict.difference_percent is None
    assert verdict.interval is not None
    assert verdict.difference == pytest.approx(-0.0168, abs=0.001)
    assert verdict.interval[0] < -0.0168 < verdict.interval[1] < 0
    assert "0.01" in sentence(verdict)
    assert "% lower" not in sentence(verdict)
    stored = json.loads(json.dumps(verdict_to_json(verdict), allow_nan=False))
    assert (stored["difference"], stored["interval"]) == (verdict.difference, list(verdict.interval))


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_a_maximised_objective_is_better_where_it_is_higher(shift: float) -> None:
    """The trials' costs are objectives times -1; above 0 they are compared by ratios, else by differences."""
    ours = {seed: -(value + 0.02 - shift) for seed, value in finalist(0.0).items()}
    theirs = {seed: -(value - shift) for seed, value in DEFAULT.items()}
    verdict = judge(ours, theirs, sign=-1.0)
    assert verdict.word == "better"
    assert verdict.difference == pytest.approx(0.02, abs=0.002)
    assert (verdict.difference_percent is None) == (shift == 1.0)
    assert "higher" in sentence(verdict)
    assert judge(theirs, ours, sign=-1.0).word == "worse"
    assert verdict.pairs[0].default == pytest.approx(SHARED[0] - shift)


def as_curve(end: float, updates_per_epoch: float = 58.0, ended: str = "end") -> Curve:
    steps = range(1, 10)
    return Curve(
        tuple(Evaluation(step * updates_per_epoch, step, step, step, end + 0.25 / step) for step in steps),
        ended,  # type: ignore[arg-type]
    )


def test_curves_are_judged_on_the_mean_of_their_last_three_evaluations_with_the_speed_up_next_to_it() -> None:
    ours = {seed: as_curve(value, updates_per_epoch=29) for seed, value in finalist(0.03).items()}
    theirs = {seed: as_curve(value) for seed, value in DEFAULT.items()}
    assert ends_by_seed(theirs)[2001] == pytest.approx(0.56 + 0.25 * (1 / 7 + 1 / 8 + 1 / 9) / 3)
    verdict = judge_curves(ours, theirs, 0.9)
    assert verdict.word == "better"
    assert verdict.speed_up is not None
    assert verdict.speed_up.value is not None
    assert verdict.speed_up.low > 1.5
    assert "Speed-up to the 90 % target" in sentence(verdict)


def test_a_seed_that_never_reaches_the_target_leaves_a_bound_on_the_speed_up() -> None:
    theirs = {seed: as_curve(value) for seed, value in list(DEFAULT.items())[:3]}
    ours = {seed: as_curve(value + 0.1) for seed, value in list(DEFAULT.items())[:3]}
    verdict = judge_curves(ours, theirs, 0.9)
    assert verdict.speed_up is not None
    assert verdict.speed_up.value is None
    assert "at most" in str(verdict.speed_up)
    assert json.dumps(verdict_to_json(verdict), allow_nan=False)


def test_a_run_that_crashed_or_ran_out_of_budget_is_no_result() -> None:
    runs = {1: as_curve(0.5), 2: as_curve(0.5, ended="failed"), 3: as_curve(0.5, ended="budget")}
    assert list(ends_by_seed(runs)) == [1]
    assert math.isnan(ends_by_seed({1: as_curve(0.5, ended="diverged")})[1])
