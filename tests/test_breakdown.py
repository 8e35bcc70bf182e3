"""The parts of a sweep's wall time sum to it, and each second stands where it was spent."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.breakdown import PARTS, breakdown, first_step, turnovers


def trial(name: str, slot: int, started: float, reports: list[float], ended: float, **work: float) -> list[Any]:
    events: list[dict[str, Any]] = [
        {"event": "trial_started", "trial_id": name, "slot": slot, "time": started, "seconds_search": 0.1}
    ]
    for number, time in enumerate(reports, 1):
        each = {"seconds_data": 0.1, "seconds_validation": 0.2, "seconds_checkpoint": 0.05, **work}
        events.append({"event": "report", "trial_id": name, "time": time, "epoch": number, "seconds": number, **each})
    return [*events, {"event": "trial_ended", "trial_id": name, "time": ended}]


SWEEP = [
    {"event": "sweep_started", "trial_id": None, "time": 2.0},
    *trial("t1", 0, 5.0, [8.0, 9.3], 9.35),
    *trial("t2", 1, 5.0, [8.2, 9.5], 9.55),
    *trial("t3", 0, 9.5, [11.0], 11.1),
]


def test_parts_sum_to_the_wall_time():
    parts = breakdown(SWEEP, begun=0.0, ended=12.0, slots=2, features=0.5)
    assert tuple(parts) == PARTS
    assert sum(parts.values()) == pytest.approx(12.0)
    assert all(seconds >= 0.0 for seconds in parts.values())


def test_each_part_is_where_it_was_spent():
    parts = breakdown(SWEEP, begun=0.0, ended=12.0, slots=2, features=0.5)
    assert parts["features"] == pytest.approx(0.5)
    assert parts["start-up"] == pytest.approx((8.0 - 1.25 + 8.2 - 1.25) / 2 - 0.5)
    assert parts["forward, backward, optimiser"] == pytest.approx(5 * 0.9 / 2)
    assert parts["data wait"] == pytest.approx(5 * 0.1 / 2)
    assert parts["validation"] == pytest.approx(5 * 0.2 / 2)
    assert parts["checkpoints"] == pytest.approx(5 * 0.05 / 2)
    assert parts["search"] == pytest.approx(0.1 / 2)
    assert parts["turnover between trials"] == pytest.approx((11.0 - 1.25 - 9.35 - 0.1) / 2)
    assert parts["tail"] == pytest.approx((11.1 - 9.55) / 2)
    assert parts["closing"] == pytest.approx(0.9)


def test_a_slot_that_waits_for_others_is_idle_and_not_turned_over():
    late = [*SWEEP[:-3], *trial("t3", 0, 20.0, [22.0], 22.0)]
    parts = breakdown(late, begun=0.0, ended=22.0, slots=2, features=0.0)
    assert parts["idle slots"] == pytest.approx((20.0 - 9.35 - 0.1) / 2)
    assert parts["turnover between trials"] == pytest.approx((22.0 - 1.25 - 20.0) / 2)


def test_a_turnover_is_from_one_trials_end_to_the_next_ones_first_epoch():
    assert turnovers(SWEEP) == [pytest.approx(11.0 - 1.25 - 9.35)]


def test_the_first_step_is_at_the_beginning_of_the_first_epoch_that_began():
    assert first_step(SWEEP) == pytest.approx(8.0 - 1.0 - 0.2 - 0.05)
