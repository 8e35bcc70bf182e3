"""Sweeps in which workers raise, die, hang, lose memory or data: what they cost, and what a resume does."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.backend.session import ray_session
from sweeps.common.errors import SweepFailed
from sweeps.run.config import SweepConfig
from sweeps.run.resources import Machine, plan_resources
from sweeps.trials.heartbeat import Heartbeat
from sweeps.trials.journal import read, read_events
from sweeps.tuner.api import resume, run
from tests.sweeps.builders import toy_request
from tests.sweeps.tuner.sweep_curves import (
    curve,
    undisturbed,
)
from tests.toy_trainer import DEFAULTS, ToyTrainer

pytestmark = pytest.mark.slow


GPU_LOST = """CUDA error: unspecified launch failure
CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be incorrect.
Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.
"""


class Unlucky(ToyTrainer):
    """Meets an `accident` in its second epoch where the mel weight is above 4, and notes the processes it trains in."""

    @classmethod
    def default_params(cls) -> Mapping[str, object]:
        """All the parameters it knows."""
        return {**DEFAULTS, "accident": "none"}

    def train_epoch(self) -> Mapping[str, object]:
        """One epoch, for which a clip is read."""
        (Path(self.data) / "clip").read_text()
        if self.epoch == 1 and self._number("mel_loss_weight") > 4.0:
            with (Path(self.data) / "processes").open("a") as file:
                file.write(f"{os.getpid()}\n")
            if self.params["accident"] == "memory":
                np.ones(1 << 57)
            if self.params["accident"] == "gpu":
                raise RuntimeError(GPU_LOST)
            once = Path(self.data).parent / "happened"
            if self.params["accident"] == "data" and not once.exists():
                once.touch()
                shutil.rmtree(self.data)
                self.epoch = 0
                return self.train_epoch()
        return super().train_epoch()


class DiesWhileItComesUp(ToyTrainer):
    """Its process dies once, where the mel weight is above 4, before the trainer is there."""

    def __init__(self, params: Mapping[str, object], data: str, seed: int) -> None:
        super().__init__(params, data, seed)
        marker = Path(data) / "died"
        if self._number("mel_loss_weight") > 4.0 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def unlucky(tmp_path: Path, accident: str, **changes: Any) -> SweepConfig:
    """A request for a sweep of which one trial meets an accident."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "clip").write_text("speech")
    trainer = f"{__name__}:Unlucky"
    given = {"trainer": trainer, "data": str(data), "epochs": 4, "set_params": {"accident": accident}}
    return toy_request(tmp_path, **given | changes)


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    """One Ray for all sweeps of this file; each run uses the one it finds."""
    with ray_session(plan_resources(Machine(2, 1 << 34, 0), 2)):
        yield


def test_a_trial_that_raises_is_retried_once_and_then_failed_while_the_others_continue(tmp_path: Path) -> None:
    result = run(toy_request(tmp_path, trials=4, epochs=6, set_params={"raise_at": 2, "raise_above_mel": 4.0}))
    failed = [record for record in result.records if record.status == "failed"]
    assert [float(str(record.params["mel_loss_weight"])) > 4.0 for record in failed] == [True] * len(failed)
    assert failed
    assert all((r.retries, r.stop_reason) == (1, "ValueError: the toy broke in epoch 2") for r in failed)
    assert len([r for r in result.records if r.status in ("finished", "stopped")]) == 4 - len(failed)


@pytest.mark.parametrize("accident", ["raise_once_at", "kill_once_at", "hang_once_at"])
def test_a_trial_that_breaks_once_goes_on_from_its_checkpoint(tmp_path: Path, accident: str) -> None:
    heartbeat = Heartbeat(factor=1.0, floor=3.0, first=60.0)
    broken = run(toy_request(tmp_path, trials=1, epochs=4, set_params={accident: 3}), heartbeat=heartbeat)
    (record,) = broken.records
    assert (record.status, record.retries) == ("finished", 1)
    assert curve(record) == undisturbed(record, 4)
    (retried,) = [event for event in read_events(broken.folder.trials_jsonl) if event["event"] == "trial_retried"]
    assert retried["epoch"] == 2
    reasons = {"raise": "ValueError: the toy broke once", "kill": "worker process died", "hang": "no sign of life"}
    assert reasons[accident.split("_")[0]] in str(retried["reason"])


@pytest.mark.parametrize(
    ("accident", "reason"), [("memory", "MemoryError: Unable to allocate"), ("gpu", "RuntimeError: CUDA error: unspec")]
)
def test_a_trial_without_memory_or_gpu_is_retried_once_in_a_new_process_from_its_checkpoint_and_then_failed(
    tmp_path: Path, accident: str, reason: str
) -> None:
    result = run(unlucky(tmp_path, accident, trials=3))
    (failed,) = [record for record in result.records if record.status == "failed"]
    assert (failed.epochs, failed.retries) == (1, 1)
    assert reason in failed.stop_reason
    assert failed.failed_by_environment is failed.environment is (accident == "memory")
    (retried,) = [event for event in read_events(result.folder.trials_jsonl) if event["event"] == "trial_retried"]
    assert (retried["epoch"], reason in str(retried["reason"])) == (1, True)
    first, second = (tmp_path / "data" / "processes").read_text().split()
    assert first != second
    assert [curve(r) == undisturbed(r, r.epochs) for r in result.records if r.status != "failed"] == [True, True]


@pytest.mark.parametrize("trials", [3, 6])
def test_a_worker_that_dies_between_two_trials_costs_the_next_one_a_single_retry(tmp_path: Path, trials: int) -> None:
    result = run(toy_request(tmp_path, trials=trials, trainer=f"{__name__}:DiesWhileItComesUp"))
    assert (tmp_path / "died").exists()
    assert [record.status for record in result.records if record.status != "stopped"][:3] == ["finished"] * 3
    assert not any(record.status in (None, "failed") for record in result.records)
    assert sum(record.retries for record in result.records) == 1


def test_a_sweep_whose_data_vanish_ends_with_the_reason_and_goes_on_once_they_are_back(tmp_path: Path) -> None:
    with pytest.raises(SweepFailed, match=r"failed the same way: FileNotFoundError: .*clip"):
        run(unlucky(tmp_path, "data", trials=8))
    known = read(tmp_path / "toy" / "trials.jsonl")
    assert [record.status for record in known[:2]] == ["finished", "finished"]
    data = tmp_path / "data"
    data.mkdir()
    (data / "clip").write_text("speech")
    more = resume(tmp_path / "toy")
    assert [record for record in more.records[: len(known)] if record.status != "failed"][:2] == known[:2]
    assert len(more.records) == 8
    assert {record.status for record in more.records[len(known) :]} <= {"finished", "stopped"}


def test_a_clock_that_is_set_back_changes_nothing_but_the_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = time.time, [0]

    def set_back() -> float:
        calls[0] += 1
        return real() - (86_400.0 if calls[0] > 200 else 0.0)

    monkeypatch.setattr(time, "time", set_back)
    result = run(toy_request(tmp_path, trials=4, epochs=6, seconds=600.0, set_params={"slow": 0.1}))
    times = [float(str(event["time"])) for event in read_events(result.folder.trials_jsonl)]
    assert min(times) < max(times) - 80_000
    assert result.ended == "finished"
    assert all(curve(record) == undisturbed(record, record.epochs) for record in result.records)
    assert 0 < result.seconds < 300
    assert result.folder.report.exists()


def test_a_sweep_whose_trials_all_fail_alike_stops_early_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(SweepFailed, match="3 of 3 trials failed the same way: ValueError: the toy broke in epoch 1"):
        run(toy_request(tmp_path, trials=20, concurrent=2, set_params={"raise_at": 1}))
    records = read(tmp_path / "toy" / "trials.jsonl")
    assert len(records) <= 4
    assert read_events(tmp_path / "toy" / "trials.jsonl")[-1]["event"] == "sweep_ended"


def test_a_full_disk_ends_the_sweep_clearly_and_a_resume_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = os.pwrite, [0]

    def full_after_a_while(file: int, data: bytes, offset: int) -> int:
        written[0] += 1
        if written[0] > 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, data, offset)

    monkeypatch.setattr(os, "pwrite", full_after_a_while)
    with pytest.raises(SweepFailed, match=r"trials.jsonl: cannot be written: No space left on device"):
        run(toy_request(tmp_path, trials=4, epochs=4))
    monkeypatch.setattr(os, "pwrite", real)
    resumed = resume(tmp_path / "toy")
    assert len(resumed.records) == 4
    assert all(curve(record) == undisturbed(record, record.epochs) for record in resumed.records)
