"""The small pieces between Ray and the rules, without starting Ray."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler

from sweeps.backend.callback import divergence, failure_reason
from sweeps.backend.heartbeat import Heartbeat
from sweeps.backend.scheduler import RungScheduler
from sweeps.search.asha import Rungs
from tests.sweeps.builders import trial

FAILED = "Failure # 1 (occurred at 2026-01-01)\n"


FORETOLD = [trial(n, [0.4 + n / 100] * 9) for n in range(1, 6)]  # epoch 3 says all of the end; 0.41 is the best


class Harness:
    """Feeds results to a scheduler as Ray does, and remembers each trial's best as the journal does."""

    def __init__(self, protected: tuple[str, ...] = (), mode: str = "min") -> None:
        self.reported: dict[str, list[float]] = {}
        self.mode = mode
        self.scheduler = RungScheduler(
            Rungs(9, 3),
            9,
            protected=lambda trial_id: trial_id in protected,
            record=lambda trial_id: replace(trial(1, self.reported.get(trial_id, []), None), mode=mode),
            records=lambda: FORETOLD,
        )

    def report(self, trial_id: str, epoch: int, value: float) -> str:
        trial = SimpleNamespace(trial_id=f"ray-{trial_id}", config={"trial_id": trial_id})
        if trial.trial_id not in self.scheduler._trial_info:
            self.scheduler.on_trial_add(None, trial)
        action = self.scheduler.on_trial_result(None, trial, {"epoch": epoch, "objective": value, "other": "x"})
        self.reported.setdefault(trial_id, []).append(value)
        if action == "STOP":
            self.scheduler.on_trial_complete(None, trial, {"epoch": epoch, "objective": value})
        return action


def test_it_is_rays_asha() -> None:
    assert issubclass(RungScheduler, AsyncHyperBandScheduler)


def test_the_running_best_is_what_is_compared() -> None:
    harness = Harness()
    assert harness.report("a", 3, 0.4) == "CONTINUE"
    harness.report("b", 2, 0.4)
    assert harness.report("b", 3, 0.9) == "CONTINUE"
    assert harness.scheduler.decisions["b"].value == 0.4
    harness.report("c", 2, 0.8)
    assert harness.report("c", 3, 0.9) == "STOP"
    ending = harness.scheduler.endings["c"]
    assert (ending.status, ending.rung) == ("stopped", 3)
    assert ending.reason == "0.8000 at epoch 3, where 0.4100 was needed"


def test_where_the_objective_is_maximised_the_decision_is_the_same_and_shows_what_was_reported() -> None:
    harness = Harness(mode="max")
    assert harness.report("a", 3, -0.4) == "CONTINUE"
    harness.report("c", 2, -0.8)
    assert harness.report("c", 3, -0.9) == "STOP"
    assert harness.scheduler.endings["c"].reason == "-0.8000 at epoch 3, where -0.4100 was needed"


def test_an_objective_that_is_not_finite_ends_the_trial_at_once_and_enters_no_rung() -> None:
    for value in (math.nan, math.inf, -math.inf):
        harness = Harness()
        assert harness.report("a", 3, value) == "STOP"
        assert harness.scheduler.endings["a"].status == "diverged"
        assert harness.scheduler.decisions == {}


def test_the_full_length_ends_a_trial_as_finished() -> None:
    harness = Harness()
    assert harness.report("a", 9, 0.5) == "STOP"
    assert harness.scheduler.endings["a"].status == "finished"


def test_a_protected_trial_goes_on_where_others_stop() -> None:
    harness = Harness(protected=("default",))
    harness.report("a", 3, 0.1)
    assert harness.report("default", 3, 0.9) == "CONTINUE"
    assert harness.report("b", 3, 0.9) == "STOP"


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
    assert failure_reason(written) == reason


def test_divergence_is_told_with_term_value_and_step() -> None:
    report = {"epoch": 2, "diverged": {"step": 12, "term": "kl", "value": "inf"}}
    assert divergence(report) == "kl is inf at step 12"
    assert divergence({"epoch": 2, "objective": math.nan}) == "the objective is not finite in epoch 2"
