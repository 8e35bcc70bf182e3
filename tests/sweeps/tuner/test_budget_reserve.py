"""What a budget keeps back for the confirmation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sweeps.trials.record import TrialRecord
from sweeps.tuner.budget_reserve import epoch_seconds, room_for_a_trial
from tests.sweeps.builders import trial


def ended(number: int, seconds: float) -> TrialRecord:
    return replace(trial(number, [0.5] * 4), started=100.0, ended=100.0 + seconds)


THREE = [ended(1, 40.0), ended(2, 44.0), ended(3, 36.0)]  # 10 s an epoch


def room(seconds_left: float | None, records: list[TrialRecord] = THREE, **changes: Any) -> bool:
    given = {"epochs": 4, "confirm_runs": 8, "concurrent": 2} | changes
    return room_for_a_trial(records, seconds_left=seconds_left, **given)


def test_an_epoch_takes_what_the_ended_trials_median_took() -> None:
    assert epoch_seconds(THREE) == pytest.approx(10.0)
    assert epoch_seconds([trial(1, [0.5], None)]) is None


def test_a_trial_has_room_while_it_and_four_rounds_of_confirmation_fit() -> None:
    assert room(1.1 * 40 * 5 + 1)
    assert not room(1.1 * 40 * 5 - 1)
    assert room(1.1 * 40 * 5 - 1, confirm_runs=6)
    assert room(1.1 * 40 * 3 + 1, concurrent=4)


def test_without_a_budget_or_a_confirmation_or_enough_to_confirm_there_is_always_room() -> None:
    assert room(None)
    assert room(1.0, confirm_runs=0)
    assert room(1.0, THREE[:2])
    assert room(1.0, [trial(1, [0.5], None)])
