"""The small pieces between Ray and the rules, without starting Ray."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler

from sweeps.backend.callback import Stopped, SweepCallback, failure_in
from sweeps.backend.loop_state import LoopState
from sweeps.backend.scheduler import RungScheduler, divergence
from sweeps.common.errors import SweepFailed
from sweeps.search.asha import Rungs
from sweeps.trials.heartbeat import Heartbeat
from sweeps.trials.journal import Journal
from tests.sweeps.builders import trial_events

FAILED = "Failure # 1 (occurred at 2026-01-01)\n"


FORETOLD = {n: [0.4 + n / 100] * 9 for n in range(1, 6)}  # epoch 3 says all of the end; 0.41 is the best


class Harness:
    """Feeds results to a scheduler as Ray does; its journal begins with the trials of FORETOLD."""

    def __init__(self, path: Path, mode: str = "min", *begun: Mapping[str, object]) -> None:
        self.journal = Journal(path / "trials.jsonl")
        for event in [event for n, curve in FORETOLD.items() for event in trial_events(n, curve)]:
            details = {name: value for name, value in event.items() if name not in ("event", "trial_id")}
            sign = -1.0 if mode == "max" else 1.0
            if "objective" in details:
                details["objective"] = sign * details["objective"]
            extra = {"mode": mode} if event["event"] == "trial_started" else {}
            self.journal.append(str(event["event"]), str(event["trial_id"]), **details, **extra)
        self.state = LoopState(self.journal)
        self.scheduler = RungScheduler(self.state, Rungs(9, 3), 9)
        self.mode = mode

    def report(self, trial_id: str, epoch: int, value: float, **about: object) -> str:
        trial = SimpleNamespace(trial_id=f"ray-{trial_id}", config={"trial_id": trial_id})
        if trial.trial_id not in self.scheduler._trial_info:
            self.journal.start(trial_id, self.mode, **{"role": "trial", "params": {}, "origin": "sobol"} | about)
            self.scheduler.on_trial_add(None, trial)
        report = {"epoch": epoch, "objective": value if math.isfinite(value) else None}
        result = {"epoch": epoch, "objective": value, "report": [report]}
        action = self.scheduler.on_trial_result(None, trial, result)
        if self.state.error is not None:
            raise self.state.error
        if action == "STOP":
            self.scheduler.on_trial_complete(None, trial, result)
        return action

    def rungs(self, trial_id: str) -> list[tuple[object, object]]:
        return [(event["value"], event["decision"]) for event in self.journal.record(trial_id).rungs]


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path)


def test_it_is_rays_asha() -> None:
    assert issubclass(RungScheduler, AsyncHyperBandScheduler)


def test_each_report_is_recorded_then_decided_on_then_acted_on(harness: Harness, monkeypatch: Any) -> None:
    seen: list[list[str]] = []
    decide = Rungs.reach

    def reach(rungs: Rungs, trial_id: str, *given: Any, **more: Any) -> Any:
        kinds = [str(event["event"]) for event in harness.journal.events if event["trial_id"] == trial_id]
        seen.append(kinds)
        return decide(rungs, trial_id, *given, **more)

    monkeypatch.setattr(Rungs, "reach", reach)
    harness.report("a", 1, 0.8)
    assert harness.report("a", 3, 0.9) == "STOP"
    assert seen[-1] == ["trial_started", "report", "report"], "the report is in the journal before the decision"
    kinds = [event["event"] for event in harness.journal.events if event["trial_id"] == "a"]
    assert kinds[-2:] == ["rung", "trial_ended"], "the decision is in the journal before Ray acts on it"


def test_the_best_cost_so_far_is_what_is_compared(harness: Harness) -> None:
    assert harness.report("a", 3, 0.4) == "CONTINUE"
    harness.report("b", 2, 0.4)
    assert harness.report("b", 3, 0.9) == "CONTINUE"
    assert harness.rungs("b") == [(0.4, "go")]
    harness.report("c", 2, 0.8)
    assert harness.report("c", 3, 0.9) == "STOP"
    record = harness.journal.record("c")
    assert (record.status, record.rung) == ("stopped", 3)
    assert record.stop_reason == "0.8000 at epoch 3, where 0.4100 was needed"


def test_where_the_objective_is_maximised_the_decision_is_the_same_and_shows_what_was_reported(tmp_path: Path) -> None:
    harness = Harness(tmp_path, "max")
    assert harness.report("a", 3, -0.4) == "CONTINUE"
    harness.report("c", 2, -0.8)
    assert harness.report("c", 3, -0.9) == "STOP"
    assert harness.journal.record("c").stop_reason == "-0.8000 at epoch 3, where -0.4100 was needed"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_objective_that_is_not_finite_ends_the_trial_at_once_and_enters_no_rung(
    harness: Harness, value: float
) -> None:
    assert harness.report("a", 3, value) == "STOP"
    assert harness.journal.record("a").status == "diverged"
    assert harness.rungs("a") == []


def test_the_full_length_ends_a_trial_as_finished(harness: Harness) -> None:
    assert harness.report("a", 9, 0.4) == "STOP"
    assert harness.journal.record("a").status == "finished"


def test_the_default_a_memorys_configs_and_controls_train_on_where_others_stop(harness: Harness) -> None:
    assert harness.report("default", 3, 0.9, origin="default") == "CONTINUE"
    assert harness.report("remembered", 3, 0.9, origin="memory") == "CONTINUE"
    assert harness.report("control", 3, 0.9, role="control") == "CONTINUE"
    assert harness.report("b", 3, 0.9) == "STOP"


def test_confirmation_runs_and_baselines_enter_no_rung(harness: Harness) -> None:
    for trial_id, role in (("c0001", "confirm"), ("r0001", "rival")):
        assert harness.report(trial_id, 3, 0.9, role=role) == "CONTINUE"
        assert harness.rungs(trial_id) == []


def test_an_epoch_that_is_reported_again_is_recorded_once(harness: Harness) -> None:
    for epoch in (1, 2, 2, 1):
        harness.report("a", epoch, 0.5)
    assert [report["epoch"] for report in harness.journal.record("a").reports] == [1, 2]


def test_an_error_inside_a_step_is_kept_until_its_end_and_nothing_is_recorded_after_that(harness: Harness) -> None:
    callback = SweepCallback(harness.state)
    with harness.state.guarded():
        raise SweepFailed("the disk is full")
    with pytest.raises(Stopped) as stopped:
        callback.on_step_end(1, [])
    assert str(stopped.value.error) == "the disk is full"
    harness.state.error = None
    assert harness.report("a", 1, 0.5) == "CONTINUE"
    assert harness.journal.record("a").reports == ()


def test_a_watchdog_waits_for_the_first_epoch_and_then_follows_the_longest() -> None:
    heartbeat = Heartbeat(factor=10, floor=5, first=100)
    heartbeat.started("a", 0.0)
    heartbeat.started("b", 0.0)
    assert heartbeat.late(99.0) == []
    heartbeat.reported("a", 99.0, epoch_seconds=2.0)
    assert heartbeat.patience("a") == 20.0
    assert heartbeat.late(110.0) == ["b"]
    heartbeat.ended("b")
    assert heartbeat.late(119.0) == []
    assert heartbeat.late(119.5) == ["a"]
    heartbeat.reported("a", 120.0, epoch_seconds=0.1)
    assert heartbeat.patience("a") == 20.0


def test_a_watchdog_gives_a_trainer_that_comes_up_its_own_time() -> None:
    heartbeat = Heartbeat(factor=10, floor=5, first=100)
    heartbeat.reported("a", 0.0, epoch_seconds=2.0)
    heartbeat.handed_out("b", 0.0)
    assert heartbeat.late(99.0) == ["a"]
    assert heartbeat.late(101.0) == ["a", "b"]
    heartbeat.started("b", 101.0)
    assert "b" not in heartbeat.late(120.0)
    assert "b" in heartbeat.late(122.0)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (
            "Failure # 1 (occurred at 2026-01-01)\n\x1b[36mray::T.train()\x1b[39m (pid=1)\n  File \"a.py\", line 3\n"
            "    raise ValueError('x')\nValueError: the toy broke in epoch 2\n",
            "ValueError: the toy broke in epoch 2",
        ),
        (f"{FAILED}ValueError: old\nFailure # 2 (occurred at b)\nKeyError: 'new'\n", "KeyError: 'new'"),
        (f"{FAILED}The actor died unexpectedly before finishing this task.\n\tpid: 3\n", "the worker process died"),
        (f"{FAILED}torch.OutOfMemoryError: CUDA out of memory.\n", "torch.OutOfMemoryError: CUDA out of memory."),
        (f"{FAILED}  File \"a.py\", line 3, in grow\n    x = [0] * n\nMemoryError\n", "MemoryError"),
        (
            f"{FAILED}torch.AcceleratorError: CUDA error: unspecified launch failure\n"
            "CUDA kernel errors might be asynchronously reported at some other API call.\n",
            "torch.AcceleratorError: CUDA error: unspecified launch failure",
        ),
        (f"{FAILED}Task was killed due to the node running low on memory.\n",
         "the worker was killed because memory ran out"),
        ("", "the worker failed without a message"),
    ],
)  # fmt: skip
def test_a_failure_is_told_in_its_own_last_words(written: str, reason: str) -> None:
    assert failure_in(written).reason == reason


def test_divergence_is_told_with_term_value_and_step() -> None:
    report = {"epoch": 2, "diverged": {"step": 12, "term": "kl", "value": "inf"}}
    assert divergence(report) == "kl is inf at step 12"
    assert divergence({"epoch": 2, "objective": math.nan}) == "the objective is not finite in epoch 2"
