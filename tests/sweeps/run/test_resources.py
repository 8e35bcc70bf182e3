"""The plan: what a machine gives, and what does not fit on it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sweeps.common.errors import RequestError
from sweeps.run.resources import Machine, hidden_gpus, plan_resources, resources_from_mapping, this_machine

GIB = 1 << 30


@pytest.mark.parametrize(
    ("cores", "trials", "concurrent", "threads"),
    [(2, 16, 2, 1), (16, 16, 16, 1), (16, 4, 4, 4), (1, 16, 1, 1), (3, 2, 2, 1)],
)
def test_cores_are_shared_among_the_trials(cores: int, trials: int, concurrent: int, threads: int) -> None:
    plan = plan_resources(Machine(cores, 64 * GIB, 0), trials)
    assert (plan.concurrent, plan.threads) == (concurrent, threads)
    assert plan.cpus_per_trial * plan.concurrent <= cores


def test_memory_bounds_the_trials() -> None:
    assert plan_resources(Machine(16, 4 * GIB, 0), 16).concurrent == 4
    assert plan_resources(Machine(16, GIB // 2, 0), 16).concurrent == 1


def test_what_was_asked_for_is_taken() -> None:
    assert plan_resources(Machine(8, 64 * GIB, 0), 16, concurrent=3).threads == 2
    assert plan_resources(Machine(8, 64 * GIB, 0), 16, cpus_per_trial=4).concurrent == 2
    crowded = plan_resources(Machine(2, 64 * GIB, 0), 16, concurrent=4)
    assert (crowded.threads, crowded.cpus_per_trial) == (1, 0.5)


def test_a_gpu_holds_one_trial_unless_it_is_shared() -> None:
    assert plan_resources(Machine(32, 64 * GIB, 2), 16).concurrent == 2
    shared = plan_resources(Machine(32, 64 * GIB, 2), 16, gpus_per_trial=0.5)
    assert (shared.concurrent, shared.gpus_per_trial, shared.threads) == (4, 0.5, 8)
    assert plan_resources(Machine(8, 64 * GIB, 2), 16, gpus_per_trial=0).concurrent == 8


def test_what_does_not_fit_is_one_line_with_all_of_it() -> None:
    with pytest.raises(
        RequestError, match=r"--cpus-per-trial 9: this machine has 8 cores; --gpus-per-trial 1: .* 0 GPUs"
    ):
        plan_resources(Machine(8, GIB, 0), 16, cpus_per_trial=9, gpus_per_trial=1)
    with pytest.raises(RequestError, match="--concurrent 3: 2 GPUs hold 2 trials"):
        plan_resources(Machine(8, GIB, 2), 16, concurrent=3)
    with pytest.raises(RequestError, match="--concurrent 0"):
        plan_resources(Machine(8, GIB, 0), 16, concurrent=0)


def test_a_plan_reads_as_one_line_and_comes_back_from_plain_data() -> None:
    plan = plan_resources(Machine(2, 64 * GIB, 0), 16)
    assert str(plan) == "2 trials at a time, 1 thread each, on 2 cores"
    assert resources_from_mapping(plan.as_dict()) == plan


def test_this_machine_has_a_core_and_memory() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.memory_bytes > 1 << 20


def test_gpus_are_counted_by_torch_where_there_may_be_one_and_torch_is_not_imported_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("sweeps.run.resources.GPU_SIGNS", (str(tmp_path / "none"),))
    monkeypatch.setitem(sys.modules, "torch", None)  # so that whatever is imported in its place is removed again
    monkeypatch.delitem(sys.modules, "torch")
    assert this_machine().gpus == 0
    assert "torch" not in sys.modules
    (tmp_path / "torch.py").write_text("class cuda:\n    device_count = staticmethod(lambda: 3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("sweeps.run.resources.GPU_SIGNS", (str(tmp_path / "none"), str(tmp_path)))
    assert this_machine().gpus == 3
    monkeypatch.setitem(sys.modules, "torch", None)  # what cannot be imported
    assert this_machine().gpus == 0


@pytest.mark.parametrize("asked", ["0", "0,1", "NoDevFiles", "GPU-8f3ab1c2"])
def test_gpus_that_are_asked_for_and_not_there_are_not_planned_and_the_variable_is_named(
    asked: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("sweeps.run.resources.GPU_SIGNS", (str(tmp_path / "none"),))
    monkeypatch.setitem(sys.modules, "torch", None)  # so that whatever is imported in its place is removed again
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", asked)
    assert this_machine().gpus == 0
    assert f"CUDA_VISIBLE_DEVICES={asked}" in hidden_gpus(0)
    assert hidden_gpus(2) == ""
