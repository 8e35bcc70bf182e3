"""The seeds of a plan, and which candidate is the finalist."""

from __future__ import annotations

import math

from sweeps.confirm.plan import (
    choose_finalist,
    confirmation_plan,
    simplest,
)


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
