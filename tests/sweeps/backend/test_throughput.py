"""Trials side by side are chosen by what a trainer does here, once for each machine, model and data."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.backend import throughput
from sweeps.backend.throughput import layouts_of, measure, measured_resources, with_layout
from sweeps.run.config import SweepConfig
from sweeps.run.resources import Machine, Resources, plan_resources, resources_from_mapping
from tests.sweeps.builders import toy_request
from tests.toy_trainer import ToyTrainer


class Parallel(ToyTrainer):
    """Four times as many updates with a second thread, and only with params' leave to start at all."""

    _threads = 1

    def set_threads(self, threads: int) -> None:
        """As the plan has it."""
        self._threads = threads

    def updates_per_second(self, seconds: float) -> float:
        """By threads alone."""
        print("something that a library says")
        time.sleep(min(seconds, 0.05))
        return 10.0 * self._threads**2


class Dies(Parallel):
    """Cannot be measured."""

    def updates_per_second(self, seconds: float) -> float:
        """Never comes to an answer."""
        raise MemoryError


PARALLEL, DIES = "tests.sweeps.backend.test_throughput:Parallel", "tests.sweeps.backend.test_throughput:Dies"


def plan(cores: int = 2, trials: int = 16, **asked: float) -> Resources:
    return plan_resources(Machine(cores, 64 << 30, 0), trials, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cores", "trials", "layouts"),
    [
        (2, 16, [(2, 1), (1, 2)]),
        (1, 16, [(1, 1)]),
        (16, 8, [(8, 2), (4, 4), (2, 8)]),
        (3, 16, [(3, 1), (1, 3)]),
        (4, 1, [(1, 4)]),
    ],
)
def test_layouts_halve_the_trials_and_give_their_cores_to_the_rest(
    cores: int, trials: int, layouts: list[tuple[int, int]]
) -> None:
    assert layouts_of(plan(cores, trials)) == layouts


@pytest.mark.parametrize(
    ("rates", "chosen"),
    [
        ({"2x1": 20.0, "1x2": 15.0}, (2, 1)),
        ({"2x1": 15.0, "1x2": 20.0}, (1, 2)),
        ({"2x1": 20.0, "1x2": 19.8}, (1, 2)),  # the search learns more from one after the other
        ({"8x1": 10.0, "4x2": 12.0, "2x4": 11.9}, (2, 4)),
    ],
)
def test_the_fewest_trials_near_the_most_updates_are_taken(rates: dict[str, float], chosen: tuple[int, int]) -> None:
    found = with_layout(plan(chosen[0] * chosen[1]), rates)
    assert (found.concurrent, found.threads, found.cpus_per_trial) == (*chosen, chosen[1])
    assert resources_from_mapping(found.as_dict()) == found
    assert "measured" in str(found)
    assert "2 x " in str(found)


def test_each_layout_is_measured_in_processes_of_its_own_that_are_gone_afterwards() -> None:
    assert measure(PARALLEL, ToyTrainer.default_params(), "", [(2, 1), (1, 2)], 0.05) == {"2x1": 20.0, "1x2": 40.0}


def test_what_cannot_be_measured_leaves_the_plan_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = toy_request(tmp_path, trainer=DIES, concurrent=None)
    assert measured_resources(plan(), request, Dies, tmp_path / "plans", start=True) == plan()
    monkeypatch.setattr(throughput, "PATIENCE_SECONDS", 0.1)
    request = replace(request, trainer=PARALLEL)
    assert measured_resources(plan(), request, Parallel, tmp_path / "plans", start=True) == plan()
    assert not (tmp_path / "plans").exists()


def test_it_is_measured_once_and_not_where_somebody_said_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Mapping[str, object]] = []

    def counted(trainer: str, params: Mapping[str, object], data: str, layouts: object) -> dict[str, float]:
        measured.append(params)
        return {"2x1": 20.0, "1x2": 40.0}

    monkeypatch.setattr(throughput, "measure", counted)
    request, store = toy_request(tmp_path, trainer=PARALLEL, concurrent=None), tmp_path / "plans"

    def planned(request: SweepConfig, *, start: bool = True, trainer: type[ToyTrainer] = Parallel) -> int:
        return measured_resources(plan(), request, trainer, store, start=start).concurrent

    assert planned(request, start=False) == 2, "a dry run starts nothing"
    assert [planned(request), planned(request), planned(request, start=False)] == [1, 1, 1]
    assert len(measured) == 1
    assert planned(replace(request, data="other")) == 1
    assert len(measured) == 2, "other data, other batches"
    for asked in ({"concurrent": 2}, {"cpus_per_trial": 1.0}, {"address": "auto"}):
        assert planned(replace(request, data="new", **asked)) == 2
    assert planned(replace(request, data="new"), trainer=ToyTrainer) == 2
    assert len(measured) == 2
    for path in store.iterdir():
        path.write_text("{damaged", encoding="utf-8")
    assert planned(request) == 1
    assert len(measured) == 3
