"""Records: derived from events, whatever the order they come in."""

from __future__ import annotations

import itertools
import math

from sweeps.trials.record import best_record, records_from_events
from tests.sweeps.builders import trial, trial_events


def test_the_objective_is_that_of_the_best_epoch() -> None:
    record = trial(1, [0.9, 0.5, 0.7])
    assert (record.objective, record.best_epoch, record.epochs) == (0.5, 2, 3)
    assert record.running_cost == {1: 0.9, 2: 0.5, 3: 0.5}


def test_a_nan_is_never_best() -> None:
    record = trial(1, [math.nan, 0.8, math.nan], "diverged")
    assert (record.objective, record.best_epoch) == (0.8, 2)
    assert trial(2, [math.nan], "diverged").objective is None
    assert best_record([record]) is None
    assert best_record([trial(2, [math.nan], "diverged"), trial(3, [0.9])]).trial_id == "t0003"


def test_the_order_of_the_records_does_not_change_the_best() -> None:
    records = [trial(1, [0.7]), trial(2, [0.5]), trial(3, [0.5]), trial(4, [0.4], role="control"), trial(5, [math.nan])]
    assert {best_record(order).trial_id for order in itertools.permutations(records)} == {"t0002"}


def test_a_config_that_diverged_or_crashed_later_is_never_best() -> None:
    records = [trial(1, [0.1, math.nan], "diverged"), trial(2, [0.2], "failed"), trial(3, [0.9], "stopped")]
    assert best_record(records).trial_id == "t0003"


def test_a_control_is_never_best() -> None:
    assert best_record([trial(1, [0.1], role="control")]) is None


def test_an_epoch_that_is_reported_twice_counts_once() -> None:
    events = trial_events(1, [0.9, 0.8])
    again = {"event": "report", "trial_id": "t0001", "time": 1.0, "epoch": 2, "objective": 0.1}
    assert records_from_events([*events, again]) == records_from_events(events)


def test_a_trial_that_goes_on_has_not_ended() -> None:
    events = trial_events(1, [0.9], "budget", reason="out of time")
    resumed = {"event": "trial_retried", "trial_id": "t0001", "time": 2.0, "epoch": 1, "reason": "resumed", "slot": 1}
    failed = {**resumed, "reason": "ValueError: broke"}
    (record,) = records_from_events([*events, resumed])
    assert (record.status, record.stop_reason, record.retries, record.slot) == (None, "", 0, 1)
    assert records_from_events([*events, resumed, failed])[0].retries == 1


def test_events_of_a_trial_that_never_started_are_left_out() -> None:
    assert records_from_events(trial_events(1, [0.5])[1:]) == []
