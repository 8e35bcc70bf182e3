"""A run of the built-in trainer is placed among healthy ones; only one that is clearly behind gets a warning."""

from __future__ import annotations

import pytest

from messages import LANGUAGES
from xtts.diagnostics.reference import MARGIN, Reference, reference

SKILLS = (0.2, 0.25, 0.3, 0.35)
FRAME = 0.8


def run(*skills: float, error: float = 0.4) -> list[dict[str, object]]:
    """An epoch of 30 updates for each skill, whose mel error falls to `error` of the mean frame's."""
    return [
        {"updates": 30 * at, "skill": skill, "mean_frame_error": FRAME, "val/mel": FRAME * (error + 0.2 * (3 - at))}
        for at, skill in enumerate(skills, 1)
    ]


OURS = Reference.of_runs([run(0.05, 0.1, skill) for skill in SKILLS])


def test_curves_are_interpolated_at_common_updates() -> None:
    assert list(OURS.values) == [40, 60, 80]
    assert OURS.values[60]["skill"] == pytest.approx([0.1] * 4)
    assert OURS.values[80]["skill"][-1] == pytest.approx(0.1 + 2 / 3 * 0.25)


def test_a_run_within_the_range_is_placed() -> None:
    found = OURS.finding(run(0.0, 0.1, 0.225))
    assert found is not None
    assert (found.code, found.severity, found.numbers["share"]) == ("placed_in_reference", "note", 0.5)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_run_that_is_clearly_behind_is_named(lang: str) -> None:
    highest = OURS.values[80]["error"][-1]
    found = OURS.finding(run(0.0, 0.0, 0.3, error=1.1 * MARGIN * highest))
    assert found is not None
    assert (found.code, found.severity) == ("behind_reference", "warning")
    assert f"{highest:.2f}" in found.words("text", lang)
    just = OURS.finding(run(0.0, 0.0, 0.3, error=0.9 * MARGIN * highest))
    assert just is not None
    assert just.code == "placed_in_reference"


def test_a_run_far_beyond_the_curves_is_called_behind_but_not_placed() -> None:
    far = [{**epoch, "updates": 10 * epoch["updates"]} for epoch in run(0.1, 0.2, 0.5)]  # type: ignore[operator]
    assert OURS.finding(far) is None
    slow = [{**epoch, "val/mel": FRAME} for epoch in far]
    found = OURS.finding(slow)
    assert found is not None
    assert found.code == "behind_reference"


NOTHING = ([], run(0.0), [{"updates": 90}], [{**run(0.1, 0.1, 0.1)[-1], "skill": float("nan")}])


@pytest.mark.parametrize("epochs", NOTHING)
def test_where_nothing_can_be_compared_nothing_is_found(epochs: list[dict[str, object]]) -> None:
    assert OURS.finding(epochs) is None


def test_the_shipped_curves_fall_and_are_sorted() -> None:
    values = reference().values
    assert set(values) >= {60, 100, 150}
    for one in values.values():
        assert all(list(row) == sorted(row) for row in one.values())
        assert len(one["skill"]) == len(one["error"])
    assert max(values[150]["error"]) < max(values[60]["error"])
    assert max(values[60]["error"]) * MARGIN < 0.9, "a run that has learned nothing is at 1"
