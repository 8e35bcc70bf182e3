"""Several GPUs, as far as scheduling goes: Ray counts GPUs that do not exist, and trials report which they got."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from sweeps.backend.environment import Environment, plan_again
from sweeps.common.errors import RequestError
from sweeps.run.config import SweepConfig
from sweeps.run.resources import Machine, plan_resources
from sweeps.trainer import TrialContext
from sweeps.tuner.api import run
from tests.sweeps.builders import toy_request
from tests.toy_trainer import ToyTrainer

GIB = 1 << 30


@pytest.mark.parametrize(
    ("gpus", "each", "trials"),
    [
        (1, None, 1),
        (2, None, 2),
        (2, 1.0, 2),
        (2, 0.5, 4),
        (2, 0.4, 4),
        (2, 0.75, 2),
        (2, 2.0, 1),
        (3, 2.0, 1),
        (4, 2.0, 2),
    ],
)
def test_a_share_is_of_one_card_and_several_cards_are_whole(gpus: int, each: float | None, trials: int) -> None:
    assert plan_resources(Machine(64, 64 * GIB, gpus), 16, gpus_per_trial=each).concurrent == trials


def test_a_share_above_one_that_is_no_whole_number_is_refused() -> None:
    with pytest.raises(RequestError, match=r"--gpus-per-trial 1.5: above 1 it must be a whole number of GPUs"):
        plan_resources(Machine(64, 64 * GIB, 4), 16, gpus_per_trial=1.5)


def test_a_resume_on_fewer_gpus_plans_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    request = toy_request(tmp_path)
    two = plan_resources(Machine(2, 64 * GIB, 2), 8)

    def machine_has(gpus: int) -> None:
        monkeypatch.setattr("sweeps.backend.environment.this_machine", lambda: Machine(2, 64 * GIB, gpus))

    machine_has(2)
    assert plan_again(Environment(), two, request) == two
    machine_has(1)
    one = plan_again(Environment(), two, request)
    assert (one.gpus, one.concurrent, one.threads) == (1, 1, two.threads)
    machine_has(0)
    with pytest.raises(RequestError, match="--gpus-per-trial 1: this machine has 0 GPUs"):
        plan_again(Environment(), two, replace(request, gpus_per_trial=1.0))


class SaysWhereItTrains(ToyTrainer):
    """Writes down the GPUs it was given, and when it used them."""

    def start(self, context: TrialContext) -> None:
        """Keep the context."""
        self.context = context

    def train_epoch(self) -> Mapping[str, object]:
        """One epoch, which begins when as many processes train as should at a time: workers take long to start."""
        data, begun = Path(self.data), time.time()
        (data / f"process-{os.getpid()}").touch()
        together = int((data / "together").read_text())
        while len(list(data.glob("process-*"))) < together and time.time() < begun + 30:
            time.sleep(0.02)
        time.sleep(0.1)
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        with (Path(self.data) / "uses").open("a") as file:
            file.write(f"{visible} {','.join(self.context.gpus)} {self.context.gpu_share} {begun} {time.time()}\n")
        return super().train_epoch()


def uses(
    tmp_path: Path, visible: str, together: int, monkeypatch: pytest.MonkeyPatch, **changes: object
) -> list[list[str]]:
    """A sweep with so many faked GPUs: of each epoch what the trial saw."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "together").write_text(str(together))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    request: SweepConfig = toy_request(
        tmp_path,
        trainer=f"{__name__}:SaysWhereItTrains",
        data=str(tmp_path / "data"),
        trials=4,
        concurrent=None,
        **changes,
    )
    machine = Machine(2, 64 * GIB, len(visible.split(",")))
    result = run(request, resources=plan_resources(machine, 4, gpus_per_trial=request.gpus_per_trial))
    assert {record.status for record in result.records} <= {"finished", "stopped"}
    return [line.split() for line in (tmp_path / "data" / "uses").read_text().splitlines()]


def overlapping(spans: list[list[str]]) -> bool:
    ordered = sorted((float(one[3]), float(one[4])) for one in spans)
    return any(later[0] < earlier[1] for earlier, later in pairwise(ordered))


@pytest.mark.slow
def test_each_of_two_gpus_has_one_trial_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = uses(tmp_path, "0,3", 2, monkeypatch)
    assert {one[0] for one in found} == {"0", "3"}, "the cards that were visible, by their own numbers"
    assert all(one[0] == one[1] and float(one[2]) == 1.0 for one in found)
    assert overlapping(found)
    for card in ("0", "3"):
        assert not overlapping([one for one in found if one[0] == card])


@pytest.mark.slow
def test_a_trial_with_a_share_knows_it_and_one_with_two_gpus_sees_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "both").mkdir()
    halves = uses(tmp_path / "half", "1", 2, monkeypatch, gpus_per_trial=0.5)
    assert {(one[0], one[2]) for one in halves} == {("1", "0.5")}
    assert overlapping(halves)
    both = uses(tmp_path / "both", "0,1", 1, monkeypatch, gpus_per_trial=2.0)
    assert {frozenset(one[0].split(",")) for one in both} == {frozenset("01")}
    assert not overlapping(both)
