"""Requests: what is refused before anything starts, and the same request read back from sweep.yaml."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sweeps.common.budget import Budget, duration, parse_duration
from sweeps.common.errors import RequestError
from sweeps.run.config import raised, sweep_config_from_yaml, sweep_yaml
from sweeps.run.resources import Machine, plan_resources
from sweeps.run.run import seconds_used
from sweeps.trainer import load_trainer
from sweeps.tuner.api import check, read_run
from tests.sweeps.builders import toy_request

OWN_TRAINER = """
class Mine(Base):
    @classmethod
    def default_params(cls): return {"rate": 1.0}
    def train_epoch(self): return {"objective": 1.0}
    def state_dict(self): return {}
    def load_state_dict(self, state): pass
"""
PLAN = plan_resources(Machine(2, 1 << 34, 0), 16)


@pytest.mark.parametrize("space", ["safe_weights", "balance", "before_after"])
def test_sweep_yaml_gives_the_request_back(tmp_path: Path, space: str) -> None:
    request = toy_request(tmp_path, space, set_params={"noise": 0.5}, data_summary={"clips": 3}, seconds=60.0)
    content = yaml.safe_load(yaml.safe_dump(sweep_yaml(request, PLAN), sort_keys=False))
    again, plan = sweep_config_from_yaml(content, tmp_path, "sweep.yaml")
    assert plan == PLAN
    assert (again.space, again.limits, again.trials, again.seed) == (request.space, request.limits, request.trials, 1)
    assert (again.shared_params, again.data_summary) == (request.shared_params, request.data_summary)
    assert (again.sobol_cohort, again.budget.seconds) == (request.sobol_cohort, 60.0)
    assert sweep_yaml(again, plan) | {"created": ""} == sweep_yaml(request, PLAN) | {"created": ""}


def test_a_sweep_yaml_that_is_not_one_is_one_line(tmp_path: Path) -> None:
    content = sweep_yaml(toy_request(tmp_path), PLAN)
    for key in ("space", "plan", "trials"):
        broken = {name: value for name, value in content.items() if name != key}
        with pytest.raises(RequestError, match=f"has no {key}"):
            sweep_config_from_yaml(broken, tmp_path, "sweep.yaml")
    with pytest.raises(RequestError, match="was not written by a sweep"):
        sweep_config_from_yaml({**content, "trials": "many"}, tmp_path, "sweep.yaml")
    with pytest.raises(RequestError, match="holds no run"):
        read_run(tmp_path)


def test_raising_the_trials_keeps_the_cohort_of_the_start(tmp_path: Path) -> None:
    request = replace(toy_request(tmp_path, trials=8), cohort=3)
    assert raised(request, 100, None).sobol_cohort == 3
    with pytest.raises(RequestError, match="runs its own list"):
        raised(toy_request(tmp_path, "before_after"), 3, None)


def test_parameters_that_the_trainer_does_not_know_are_told_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as refused:
        check(toy_request(tmp_path, set_params={"nois": 1, "wings": 2}))
    assert "--set: the trainer knows no parameter 'nois'; did you mean 'noise'?" in str(refused.value)
    assert "'wings'" in str(refused.value)


def test_a_parameter_cannot_be_both_searched_and_set(tmp_path: Path) -> None:
    for space in ("safe_weights", "balance"):
        with pytest.raises(RequestError, match=r"--set mel_loss_weight: space .* searches it already"):
            check(toy_request(tmp_path, space, set_params={"mel_loss_weight": 2.0}))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("toy", "expected MODULE:CLASS"),
        ("no.such.module:Toy", "No module named 'no'"),
        ("tests.toy_trainer:ToyTrainr", "did you mean 'ToyTrainer'"),
        ("pathlib:Path", "has no train_epoch"),
    ],
)
def test_a_trainer_that_is_none_is_one_line(spec: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        load_trainer(spec)


def test_a_trainer_is_found_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trainer_of_this_folder.py").write_text("from sweeps.trainer import Trainer as Base\n" + OWN_TRAINER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    assert load_trainer("trainer_of_this_folder:Mine").default_params() == {"rate": 1.0}


@pytest.mark.parametrize("bad", [{"trials": 0}, {"epochs": 0}, {"seconds": 0.0}, {"seconds": float("inf")}])
def test_a_budget_that_allows_nothing_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(RequestError, match=r"at least 1|more than 0"):
        Budget(**({"trials": 1, "epochs": 1} | bad))  # type: ignore[arg-type]


def test_a_budget_says_when_its_time_is_used_up() -> None:
    budget = Budget(16, 9, 7200.0)
    assert budget.exhausted(10.0) is None
    assert budget.exhausted(7200.0) == "the budget of 2 h 00 min is used up"
    assert Budget(16, 9).exhausted(1e9) is None


def test_durations_are_read_as_people_write_them() -> None:
    assert [parse_duration(text) for text in ("2h", "90m", "1h30m", "45s", "12", "1.5h", "2min", "1d")] == [
        7200, 5400, 5400, 45, 12, 5400, 120, 86400,
    ]  # fmt: skip
    for text in ("", "2x", "h", "-1h", "2h x", "nan"):
        with pytest.raises(RequestError, match="--budget"):
            parse_duration(text)
    assert [duration(seconds) for seconds in (45, 600, 7500)] == ["45 s", "10 min", "2 h 05 min"]


def test_time_is_summed_over_sessions_and_a_clock_set_back_takes_nothing_away() -> None:
    moments = [("sweep_started", 100), ("report", 130), ("sweep_resumed", 500), ("report", 520), ("sweep_resumed", 900)]
    events = [{"event": event, "trial_id": None, "time": float(moment)} for event, moment in moments]
    assert seconds_used(events) == 50.0
    assert seconds_used([*events, {"event": "report", "trial_id": "t0001", "time": 200.0}]) == 50.0
    assert seconds_used([]) == 0.0
