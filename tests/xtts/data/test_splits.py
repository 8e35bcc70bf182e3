"""Splits are by text, stable, and never empty."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtts.data.splits import LEAST_EVAL_TEXTS, LEAST_TEXTS, TEST, TRAIN, VALIDATION, split_eval_texts, split_texts


def numbered(count):
    return [f"text number {n}" for n in range(count)]


@given(st.integers(LEAST_TEXTS, 400), st.integers(0, 5))
def test_a_tenth_is_for_validation_and_up_to_30_texts_or_a_tenth_for_test(count, seed):
    sides = list(split_texts(numbered(count), seed).values())
    assert abs(sides.count(VALIDATION) - count / 10) <= 1.0
    tested = max(count / 10, min(count / 5, 30)) if count >= 40 else count / 10
    assert abs(sides.count(TEST) - tested) <= 1.0
    assert min(sides.count(side) for side in (VALIDATION, TEST)) >= 2
    assert sides.count(TRAIN) >= 0.6 * count


def test_adding_texts_moves_few():
    before = split_texts(numbered(500), 0)
    after = split_texts(numbered(510), 0)
    assert sum(before[text] != after[text] for text in before) <= 6


def test_order_and_repeats_do_not_matter():
    assert split_texts(numbered(50), 3) == split_texts(numbered(50)[::-1] * 2, 3)


def test_another_seed_is_another_split():
    assert split_texts(numbered(50), 0) != split_texts(numbered(50), 1)


def test_the_eval_set_is_halved():
    sides = list(split_eval_texts(numbered(9), 0).values())
    assert (sides.count(VALIDATION), sides.count(TEST)) == (5, 4)


@pytest.mark.parametrize(("split", "least"), [(split_texts, LEAST_TEXTS), (split_eval_texts, LEAST_EVAL_TEXTS)])
def test_too_few_texts_are_refused(split, least):
    split(numbered(least), 0)
    with pytest.raises(ValueError, match=f"{least - 1} different"):
        split(numbered(least - 1) * 3, 0)
