"""The words that paired seeds earn, how rarely they are wrong, and what stands in verdict.json."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.confirm.convergence import Curve, Evaluation
from sweeps.confirm.decision import decide
from sweeps.confirm.paired_test import paired_interval, power, seeds_to_decide, sign_test
from sweeps.confirm.plan import (
    SEQUENTIAL_LOOKS,
    TWO_LOOK_DESIGN,
    TWO_LOOKS,
    Design,
    Look,
    choose_finalist,
    confirmation_plan,
    simplest,
)
from sweeps.confirm.verdict import ends_by_seed, judge, judge_curves
from sweeps.confirm.verdict_json import verdict_to_json
from sweeps.confirm.verdict_text import MeasuredDifference, disagreement_notes, rival_note, sentence
from tests import ROOT

SHARED = (0.560, 0.571, 0.549, 0.566, 0.558, 0.553, 0.574, 0.562)
WOBBLE = (0.004, -0.003, -0.001, 0.002, -0.004, 0.001, 0.003, -0.002)


ALL_PAIRS = Design(stops_early=False)


def seeds(values: list[float]) -> dict[int, float]:
    return {2001 + place: value for place, value in enumerate(values)}


DEFAULT = seeds(list(SHARED))


def finalist(gain: float, wobble: float = 1.0, count: int = 8) -> dict[int, float]:
    values = [base * (1 - gain) * (1 + wobble * off) for base, off in zip(SHARED, WOBBLE, strict=True)]
    return seeds(values[:count])


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


def test_the_interval_is_students_on_paired_logs() -> None:
    stats = pytest.importorskip("scipy.stats")
    ours, theirs = list(finalist(0.02, wobble=3).values()), list(DEFAULT.values())
    ratios = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
    expected = stats.ttest_1samp(ratios, 0).confidence_interval(0.96)
    found = paired_interval(ratios, 0.04)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@given(st.lists(st.tuples(st.floats(0.3, 0.9), st.floats(0.3, 0.9)), min_size=3, max_size=10), st.randoms())
def test_the_order_of_the_pairs_changes_no_decision(pairs: list[tuple[float, float]], chance: random.Random) -> None:
    word = decide([ours for ours, _ in pairs], [theirs for _, theirs in pairs], 0.01)
    chance.shuffle(pairs)
    again = decide([ours for ours, _ in pairs], [theirs for _, theirs in pairs], 0.01)
    assert word.interval is not None
    assert again.interval is not None
    assert again.interval.mean == pytest.approx(word.interval.mean, abs=1e-12)
    if abs(word.interval.low) > 1e-9 and abs(word.interval.high) > 1e-9:
        assert again.word == word.word


@given(
    st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=3, max_size=10),
    st.sampled_from([1.0, -1.0]),
    st.floats(0, 2),
)
def test_relabelling_the_sides_mirrors_the_interval_and_the_words_better_and_worse(
    pairs: list[tuple[float, float]], sign: float, shift: float
) -> None:
    ours, theirs = [one + sign * shift for one, _ in pairs], [other + sign * shift for _, other in pairs]
    plain, mirrored = decide(ours, theirs, 0.01, sign=sign), decide(theirs, ours, 0.01, sign=sign)
    assert plain.interval is not None
    assert mirrored.interval is not None
    assert mirrored.interval.mean == pytest.approx(-plain.interval.mean, abs=1e-9)
    assert mirrored.interval.low == pytest.approx(-plain.interval.high, abs=1e-9)
    swapped = {"better": "worse", "worse": "better"}
    if "no difference" not in (plain.word, mirrored.word):
        assert mirrored.word == swapped.get(plain.word, plain.word)


@given(st.lists(st.tuples(st.floats(0.3, 0.9), st.floats(0.3, 0.9)), min_size=3, max_size=9))
def test_a_tie_moves_the_difference_towards_0_and_never_turns_worse_into_better(
    pairs: list[tuple[float, float]],
) -> None:
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    before, after = decide(ours, theirs, 0.01), decide([*ours, 0.5], [*theirs, 0.5], 0.01)
    assert before.interval is not None
    assert after.interval is not None
    assert abs(after.interval.mean) <= abs(before.interval.mean) + 1e-12
    assert {before.word, after.word} != {"better", "worse"}


@given(st.lists(st.floats(0.3, 0.9), min_size=3, max_size=8), st.floats(0.1, 10))
def test_the_unit_of_the_objective_does_not_matter_and_sides_swap_the_word(values: list[float], unit: float) -> None:
    other = [0.5 + place / 100 for place in range(len(values))]
    swapped = {"better": "worse", "worse": "better"}
    word = decide(values, other, 0.04).word
    scaled = decide([value * unit for value in values], [value * unit for value in other], 0.04)
    plain = decide(values, other, 0.04)
    assert plain.interval is not None
    assert scaled.interval is not None
    assert scaled.interval.mean == pytest.approx(plain.interval.mean, abs=1e-9)
    if abs(plain.interval.low) > 1e-9 and abs(plain.interval.high) > 1e-9:
        assert scaled.word == word
    mirrored = decide(other, values, 0.04).word
    if "no difference" not in (word, mirrored):
        assert mirrored == swapped.get(word, word)


def test_the_last_look_alone_finds_3_per_cent_at_the_sd_assumed_in_three_of_four() -> None:
    last = SEQUENTIAL_LOOKS[-1]
    assert power(math.log(0.97), 0.025, last.seeds, last.alpha) >= 0.75  # all looks together: 80 %, by simulation
    assert sum(look.alpha for look in TWO_LOOKS) <= 0.05
    assert power(math.log(0.97), 0.025, 1, last.alpha) == 0


def test_seeds_to_decide_grow_with_the_spread_and_give_up_where_nobody_would_train_so_many() -> None:
    calm, wild = (seeds_to_decide(-0.02, sd, 0.04, 0.01) for sd in (0.01, 0.03))
    assert calm is not None
    assert wild is not None
    assert calm < wild
    assert power(-0.02, 0.03, wild, 0.04) >= 0.8 > power(-0.02, 0.03, wild - 1, 0.04)
    assert seeds_to_decide(-0.01, 0.5, 0.04, 0.01) is None


def test_the_sign_test_is_exact() -> None:
    assert sign_test(8, 0) == pytest.approx(2 / 256)
    assert sign_test(7, 1) == pytest.approx(18 / 256)
    assert sign_test(4, 4) == 1.0


def test_the_seeds_of_search_selection_and_confirmation_are_all_different_and_a_longer_plan_goes_on() -> None:
    plan = confirmation_plan(["t3", "t7", "t3", "t9", "t2"], search_seed=1)
    longer = confirmation_plan(["t3", "t7", "t9"], search_seed=1, confirm_seeds=8)
    assert plan.candidates == ("t3", "t7", "t9")
    used = [1, *plan.selection_seeds, *longer.confirmation_seeds]
    assert len(used) == len(set(used))
    assert longer.confirmation_seeds[:3] == plan.confirmation_seeds
    assert confirmation_plan(["t3"], 1).selection_seeds == ()


def test_the_finalist_is_the_best_on_the_selection_seeds_and_never_one_that_diverged() -> None:
    assert choose_finalist({"a": [0.56], "b": [0.55], "c": [0.57]}) == "b"
    assert choose_finalist({"a": [0.56, 0.57], "b": [0.50, math.nan]}) == "a"
    assert choose_finalist({"a": [0.56], "b": [0.56]}) == "a"
    assert choose_finalist({"a": [math.nan]}) is None
    assert choose_finalist({}) is None


def test_of_candidates_that_are_not_distinguishable_the_one_with_the_fewest_changes_is_the_finalist() -> None:
    ends = {"a": [0.560], "b": [0.563], "c": [0.570]}
    assert simplest(ends, {"a": 3, "b": 1, "c": 1}, 1.0) == "b"
    assert simplest(ends, {"a": 3, "b": 3, "c": 1}, 1.0) == "a"
    assert simplest(ends, {"a": 3, "b": 3, "c": 1}, 2.0) == "c"
    assert simplest({"a": [-1.0], "b": [-0.995]}, {"a": 2, "b": 1}, 1.0) == "b"
    assert simplest({"a": [math.nan]}, {"a": 1}, 1.0) is None


def test_a_verdict_without_numbers_is_plain_json_too() -> None:
    for verdict in (
        judge(finalist(0.03), DEFAULT),
        judge(finalist(0.01, wobble=6), DEFAULT),
        judge({**finalist(0.03), 2001: math.nan}, DEFAULT),
        judge({}, {}),
    ):
        stored = json.loads(json.dumps(verdict_to_json(verdict), allow_nan=False))
        assert (stored["verdict"], stored["sentence"]) == (verdict.word, sentence(verdict))
        assert [pair["seed"] for pair in stored["pairs"]] == [pair.seed for pair in verdict.pairs]


def test_the_difference_stands_in_the_file_in_per_cent_and_in_the_objectives_own_unit() -> None:
    stored = verdict_to_json(judge(finalist(0.03), DEFAULT))
    assert stored["verdict"] == "better"
    assert stored["default_objective"] == pytest.approx(math.prod(SHARED[:3]) ** (1 / 3))
    assert stored["difference"] == pytest.approx(stored["default_objective"] * stored["difference_percent"] / 100)
    assert stored["interval"][0] < stored["difference"] < stored["interval"][1] < 0
    assert verdict_to_json(judge({}, {}))["difference"] is None


def test_the_sentence_gives_difference_interval_seeds_power_and_scope_in_both_languages() -> None:
    verdict = judge(finalist(0.03, wobble=2), DEFAULT, design=TWO_LOOK_DESIGN)
    english, persian = sentence(verdict), sentence(verdict, "fa")
    for part in ("better: ", "lower", "96 % interval", "8 seeds", "it covers seeds, not other data"):
        assert part in english
    for part in ("بهتر", "کمتر", "بازهٔ 96 درصد", "8 بذر"):
        assert part in persian


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


def test_pairs_that_differ_by_rounding_alone_still_make_a_verdict_that_json_can_hold() -> None:
    verdict = judge({1: 0.7, 2: 0.7 + 1e-16, 3: 0.7}, {1: 0.8, 2: 0.8, 3: 0.8 + 1e-16})
    assert (verdict.word, verdict.power_observed) == ("better", 1.0)
    assert json.dumps(verdict_to_json(verdict), allow_nan=False)


def test_a_measure_that_points_the_other_way_is_named_and_one_that_agrees_is_not() -> None:
    verdict = judge(finalist(0.03), DEFAULT)
    agrees = MeasuredDifference("duration error", -4, -6, -2)
    unsure = MeasuredDifference("F0 error", 4, -1, 9)
    against = MeasuredDifference("mel cepstral distortion", 3, 1, 5)
    notes = disagreement_notes(verdict, [agrees, unsure, against])
    assert [
        ("mel cepstral distortion" in note.text(), "mel cepstral distortion" in note.text("fa")) for note in notes
    ] == [(True, True)]
    assert disagreement_notes(judge({}, {}), [against]) == ()


def test_a_rival_as_good_as_the_finalist_is_said_to_be_and_one_that_is_worse_is_not() -> None:
    as_good = rival_note("learned decoder scale", judge(finalist(0.0), DEFAULT))
    assert as_good is not None
    assert "as good as the finalist" in as_good.text()
    better = rival_note("learned decoder scale", judge(finalist(0.05), DEFAULT))
    assert better is not None
    assert "better than the finalist" in better.text()
    assert rival_note("learned decoder scale", judge(finalist(-0.05), DEFAULT)) is None


@pytest.mark.parametrize("looks", [SEQUENTIAL_LOOKS, TWO_LOOKS])
def test_all_looks_together_call_falsely_in_at_most_5_per_cent_where_nothing_differs(looks: tuple[Look, ...]) -> None:
    chance = random.Random(7)
    sweeps, false = 3000, 0
    for _ in range(sweeps):
        base = [0.56 * math.exp(chance.gauss(0, 0.015)) for _ in range(looks[-1].seeds)]
        ours, theirs = ([value * math.exp(chance.gauss(0, 0.018)) for value in base] for _ in range(2))
        words = [decide(ours[: look.seeds], theirs[: look.seeds], look.alpha).word for look in looks]
        false += any(word in ("better", "worse") for word in words)
    assert false / sweeps <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / sweeps)


@pytest.mark.slow
def test_the_simulation_of_the_readme_runs_on_real_curves_and_meets_its_demands(tmp_path: Path) -> None:
    chance = random.Random(3)
    stored: dict[str, dict[str, list[float]]] = {}
    for config in "abc":
        stored[config] = {}
        for seed in range(5):
            own = chance.gauss(0, 0.01)
            stored[config][str(seed)] = [
                0.56 * math.exp(own + chance.gauss(0, 0.005)) + 0.2 / epoch for epoch in range(1, 10)
            ]
    path = tmp_path / "curves.json"
    path.write_text(json.dumps(stored), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "benchmarks/verdict_errors.py", "--curves", str(path), "--sweeps", "2000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "15 real seeds of 3 configs (5 seeds in common)" in done.stdout
    assert "TOO FEW" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "word"), [(0.06, "'better'"), (0.0, "'no difference'")])
def test_sweeps_of_recorded_configs_end_as_their_effects_say(tmp_path: Path, gain: float, word: str) -> None:
    chance = random.Random(5)
    effects = {"default": 0.0, "good": -gain, "poor": 0.05, "worse": 0.08, "worst": 0.1}
    stored = {
        config: {
            str(seed): [(0.56 + 0.2 / epoch) * math.exp(effect + chance.gauss(0, 0.003)) for epoch in range(1, 10)]
            for seed in range(4)
        }
        for config, effect in effects.items()
    }
    path = tmp_path / "curves.json"
    path.write_text(json.dumps(stored), encoding="utf-8")
    command = [sys.executable, "benchmarks/verdict_errors.py", "--curves", str(path), "--sweeps", "200"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    recorded = done.stdout.partition("sweeps of 5 of the 5 recorded configs (200), 4 seeds each")[2]
    share = next(float(line.split(word)[1].split("%")[0]) for line in recorded.splitlines() if word in line)
    assert share > 90, done.stdout + done.stderr
