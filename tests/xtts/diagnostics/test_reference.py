"""A run of the built-in trainer is placed among healthy ones; only one that is clearly behind gets a warning."""

from __future__ import annotations

import pytest

from messages import LANGUAGES
from xtts.diagnostics.reference import MARGIN, Reference, reference

SKILLS = (0.2, 0.25, 0.3, 0.35)


def run(*skills: float) -> list[dict[str, object]]:
    return [{"epoch": epoch, "skill": skill} for epoch, skill in enumerate(skills, 1)]


OURS = Reference.of_runs([run(0.05, 0.1, skill) for skill in SKILLS])


def test_a_run_within_the_range_is_placed() -> None:
    found = OURS.finding(run(0.0, 0.1, 0.3))
    assert found is not None
    assert (found.code, found.severity, found.numbers["share"]) == ("placed_in_reference", "note", 0.75)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_run_that_is_clearly_behind_is_named(lang: str) -> None:
    found = OURS.finding(run(0.0, 0.0, 0.9 * MARGIN * SKILLS[0]))
    assert found is not None
    assert (found.code, found.severity) == ("behind_reference", "warning")
    assert "0.200" in found.words("text", lang)


NOTHING = ([], run(0.0, 0.0), run(*[0.1] * 4), [{"epoch": 3}], [{"epoch": 3, "skill": float("nan")}])


@pytest.mark.parametrize("epochs", NOTHING)
def test_where_nothing_can_be_compared_nothing_is_found(epochs: list[dict[str, object]]) -> None:
    assert OURS.finding(epochs) is None


def test_the_shipped_curves_rise_and_are_sorted() -> None:
    skills = reference().skills
    assert set(skills) >= {3, 5}
    assert all(list(one) == sorted(one) for one in skills.values())
    assert skills[5][0] > skills[1][0]
