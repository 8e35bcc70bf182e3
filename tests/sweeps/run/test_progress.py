"""The progress of a sweep as a table, as lines, and as a live display."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sweeps.common.budget import Budget
from sweeps.run.progress import LineDisplay, LiveDisplay, Progress
from sweeps.trials.record import TrialRecord
from tests.sweeps.builders import trial


def progress(records: list[TrialRecord], seconds: float = 30.0, trials: int = 10) -> Progress:
    return Progress(tuple(records), ("mel_loss_weight",), Budget(10, 3), seconds, 0, trials)


def test_the_text_of_progress_is_the_table() -> None:
    records = [
        trial(1, [0.9, 0.5, 0.6]),
        trial(2, [0.95], "stopped"),
        trial(3, [math.nan], "diverged"),
        trial(4, [], None),
    ]
    assert str(progress(records)).splitlines() == [
        "trial  mel_loss_weight  epoch  objective  status",
        "t0001  1.1              3/3    0.5000 @2  finished",
        "t0002  1.2              1/3    0.9500     stopped",
        "t0003  1.3              1/3               diverged",
        "t0004  1.4              0/3               running",
        "3 of 10 trials · best 0.5000 (t0001, epoch 2) · 30 s, about 70 s left",
    ]


def test_the_time_left_follows_the_epochs_that_are_left() -> None:
    assert progress([]).seconds_left is None
    assert progress([trial(n, [0.5] * 3) for n in range(1, 6)], 60.0).seconds_left == pytest.approx(60.0)
    assert progress([trial(n, [0.5] * 3) for n in range(1, 11)], 60.0).seconds_left == 0.0


def test_after_an_early_end_of_the_search_no_trial_is_waited_for_that_will_not_come() -> None:
    records = [*(trial(n, [0.5] * 3) for n in range(1, 6)), trial(6, [0.5] * 2, None)]
    ended = progress(records, 51.0, trials=6)
    assert ended.heading.startswith("5 of 6 trials (10 planned) · best")
    assert ended.total == 6
    assert ended.seconds_left == pytest.approx(3.0), "the last epoch of the trial that still runs"
    assert "planned" not in progress(records, 51.0).heading


def test_lines_tell_each_ended_trial_once(capsys: pytest.CaptureFixture[str]) -> None:
    display = LineDisplay()
    display.update(progress([trial(1, [0.5] * 3), trial(2, [], None)]))
    display.update(progress([trial(1, [0.5] * 3), trial(2, [], "failed", reason="ValueError: broke")]))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("t0001  mel_loss_weight 1.1  epoch 3/3  objective 0.5000  finished  [")
    assert "failed (ValueError: broke)" in second


def test_each_trial_has_its_line_once_in_whatever_order_they_end(capsys: pytest.CaptureFixture[str]) -> None:
    display, ended = LineDisplay(), set()
    for number in (3, 1, 5, 2, 4):
        ended.add(number)
        display.update(progress([trial(n, [0.5] * 3, "finished" if n in ended else None) for n in range(1, 6)]))
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        f"t000{number}" for number in (3, 1, 5, 2, 4)
    ]


def test_the_live_table_shows_the_best_and_the_newest(capsys: pytest.CaptureFixture[str]) -> None:
    records = [trial(1, [0.1]), *(trial(n, [0.5]) for n in range(2, 60))]
    display = LiveDisplay()
    display.update(progress(records))
    display.close()
    out = capsys.readouterr().out
    assert "t0001" in out
    assert "t0059" in out
    assert "t0020" not in out


def test_a_baseline_is_named_by_its_method() -> None:
    rival = replace(trial(1, [0.5] * 3), role="rival", label="balancer", trial_id="r0001")
    assert progress([rival]).rows()[1][0] == "r0001 balancer"
