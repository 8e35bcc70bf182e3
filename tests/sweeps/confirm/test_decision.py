"""The paired test: its interval, its symmetry, its power, and how rarely it is wrong."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.confirm.decision import decide
from sweeps.confirm.paired_test import paired_interval, power, seeds_to_decide, sign_test
from sweeps.confirm.plan import (
    SEQUENTIAL_LOOKS,
    TWO_LOOKS,
    Look,
)
from tests.sweeps.confirm.paired_seeds import DEFAULT, finalist


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
