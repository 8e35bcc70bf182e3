"""Whole sweeps of the toy trainer on a real Ray: what they decide, record and leave behind."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from sweeps.backend.session import ray_session
from sweeps.common.errors import RequestError, SweepFailed
from sweeps.run.folder import RunFolder
from sweeps.run.resources import Machine, plan_resources
from sweeps.space.space_file import load_space, space_from_mapping
from sweeps.trainer import TrialContext
from sweeps.trials.journal import read, read_events
from sweeps.tuner.api import SweepResult, read_run, resume, run
from tests.sweeps.builders import LIMITS, toy_request
from tests.sweeps.tuner.sweep_curves import (
    curve,
    undisturbed,
)
from tests.toy_trainer import ToyTrainer

pytestmark = pytest.mark.slow


class Starts(ToyTrainer):
    """Writes down each start and close; breaks once after it has trained."""

    def start(self, context: TrialContext) -> None:
        """Note what it is given."""
        assert context.folder is not None
        with (context.folder / "starts").open("a") as file:
            file.write(f"{context.trial_id} {context.epochs} {context.attempt} {self.epoch} {list(context.gpus)}\n")
        self.folder = context.folder

    def close(self) -> None:
        """Note that it was called."""
        (self.folder / f"closed after {self.epoch}").touch()


class ReportsWords(ToyTrainer):
    """Reports its objective as text."""

    def train_epoch(self) -> Mapping[str, object]:
        """One epoch."""
        return {"objective": str(super().train_epoch()["objective"])}


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    """One Ray for all sweeps of this file; each run uses the one it finds."""
    with ray_session(plan_resources(Machine(2, 1 << 34, 0), 2)):
        yield


def test_a_sweep_tries_the_default_first_and_leaves_a_whole_run_folder(tmp_path: Path) -> None:
    ended: list[SweepResult] = []
    request = toy_request(tmp_path, trials=10, epochs=9, concurrent=2, data_summary={"clips": 3})
    result = run(request, on_end=[ended.append])
    assert ended == [result]
    assert result.ended == "finished"
    origins = [record.origin for record in result.records]
    assert origins[:5] == ["default"] + ["sobol"] * 4
    assert "model" in origins
    first = result.records[0]
    assert (first.trial_id, first.status, first.epochs) == ("t0001", "finished", 9)
    assert {record.status for record in result.records} == {"finished", "stopped"}
    assert all(record.epochs == 3 for record in result.records if record.status == "stopped")
    assert all(LIMITS.hold(record.params) for record in result.records)

    folder = result.folder
    assert read(folder.trials_jsonl) == result.records
    best = yaml.safe_load(folder.best_config.read_text())
    assert result.best is not None
    assert best["training"] == result.best.params
    assert (folder.best / "toy.txt").read_text() == f"epoch {result.best.best_epoch}\n"
    assert folder.report.read_text().count("data-rank") == 10
    assert len(folder.trials_csv.read_text().splitlines()) == 11
    kept = {path.parent.name for path in folder.checkpoints.glob("*/*")}
    ranked = sorted(result.records, key=lambda record: record.rank)
    assert kept == {record.trial_id for record in (*ranked[:3], first)}, "the three best, and the default"
    assert not list(folder.checkpoints.glob("*/last.safetensors"))

    study = optuna.load_study(study_name="toy", storage=f"sqlite:///{folder.optuna_db}")
    states = {"finished": TrialState.COMPLETE, "stopped": TrialState.PRUNED}
    for stored, record in zip(study.trials, result.records, strict=True):
        assert stored.state == states[str(record.status)]
        assert list(stored.intermediate_values.values()) == curve(record)
    assert study.best_value == result.best.objective

    again = read_run(folder.path)
    assert again.config.data_summary == {"clips": 3}
    assert again.best == result.best


def test_a_trial_that_is_not_finite_ends_at_once_and_the_others_continue(tmp_path: Path) -> None:
    result = run(toy_request(tmp_path, trials=5, epochs=6, set_params={"nan_at": 2, "nan_above_mel": 2.6}))
    diverged = [record for record in result.records if record.status == "diverged"]
    assert diverged
    for record in diverged:
        assert (record.epochs, record.stop_reason) == (2, "mel is nan at step 7")
        assert curve(record)[1] is None
    assert {record.status for record in result.records} - {"diverged"} <= {"finished", "stopped"}
    assert result.best is not None
    assert result.best.status == "finished"
    entered = {event["trial_id"] for event in read_events(result.folder.trials_jsonl) if event["event"] == "rung"}
    assert all(isinstance(event["value"], float) for record in result.records for event in record.rungs)
    assert "t0001" in entered


def test_a_sweep_without_a_finite_objective_fails_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SweepFailed, match=r"no trial came to a result .* mel is nan at step 7"):
        run(toy_request(tmp_path, trials=2, set_params={"nan_at": 1}))


def test_controls_run_to_the_end_and_are_never_best(tmp_path: Path) -> None:
    few = {**load_space("before_after").source, "trials": list(load_space("before_after").source["trials"])[:3]}  # type: ignore[call-overload]
    space = space_from_mapping(few, "few")
    result = run(toy_request(tmp_path, space, epochs=3))
    assert [record.params for record in result.records] == [config.params for config in space.trials]
    assert {(record.role, record.status) for record in result.records} == {("control", "finished")}
    assert all(record.label for record in result.records)
    assert result.best is None
    assert not result.folder.best_config.exists()


def test_trials_outside_the_limits_are_controls(tmp_path: Path) -> None:
    request = toy_request(tmp_path, trials=3, epochs=1, set_params={"learning_rate": 1.0})
    with pytest.raises(RequestError, match="--allow-unsafe"):
        run(request)
    assert not (tmp_path / "toy").exists()
    result = run(toy_request(tmp_path, trials=3, epochs=1, set_params={"learning_rate": 1.0}, allow_unsafe=True))
    assert {record.role for record in result.records} == {"control"}


def test_a_sweep_out_of_time_ends_well_and_goes_on_with_more(tmp_path: Path) -> None:
    request = toy_request(tmp_path, trials=1, epochs=8, seconds=6.0, set_params={"slow": 0.8})
    result = run(request)
    assert (result.ended, result.reason) == ("budget", "the budget of 6 s is used up")
    assert result.best is not None
    (last,) = result.records
    assert last.status == "budget"
    with pytest.raises(RequestError, match="budget of 6 s is used up; give it more"):
        resume(result.folder.path)
    more = resume(result.folder.path, budget_seconds=600.0)
    assert more.ended == "finished"
    assert [(record.status, record.retries) for record in more.records] == [("finished", 0)]
    assert curve(more.records[0]) == undisturbed(last, 8)


def test_a_finished_sweep_takes_more_trials_and_runs_none_again(tmp_path: Path) -> None:
    first = run(toy_request(tmp_path, trials=3, epochs=3))
    same = resume(first.folder.path)
    assert same.records == first.records
    more = resume(first.folder.path, trials=5)
    assert more.records[:3] == first.records
    assert len({record.identity for record in more.records}) == 5
    assert read_run(first.folder.path).config.trials == 5
    with pytest.raises(RequestError, match="--trials 4: toy has 5 already"):
        resume(first.folder.path, trials=4)


def test_a_run_is_not_started_twice(tmp_path: Path) -> None:
    request = toy_request(tmp_path, trials=1, epochs=1)
    result = run(request)
    with pytest.raises(RequestError, match="holds a run already"):
        run(request)
    with result.folder.locked(), pytest.raises(RequestError, match="is in use by process"):
        resume(result.folder.path)


def test_what_a_report_costs_does_not_grow_with_the_number_of_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "toy" / "trials.jsonl"
    sync, read_bytes = os.fsync, Path.read_bytes
    syncs, reads, pages = [0], [0], [0]

    def counted_sync(file: int) -> None:
        syncs[0] += 1
        sync(file)

    def counted_read(path: Path) -> bytes:
        reads[0] += path == journal
        return read_bytes(path)

    def page(folder: RunFolder) -> None:
        pages[0] += 1

    monkeypatch.setattr(os, "fsync", counted_sync)
    monkeypatch.setattr(Path, "read_bytes", counted_read)
    result = run(toy_request(tmp_path, trials=60, epochs=3, concurrent=2, cohort=60), report=page)
    assert len(result.records) == 60
    assert reads[0] <= 5
    assert syncs[0] == len(read_events(journal))
    assert pages[0] <= 3 + result.seconds


def test_a_maximised_objective_gives_the_same_trials_decisions_and_best_as_its_negative(tmp_path: Path) -> None:
    least, most = (
        run(toy_request(tmp_path / name, trainer=f"tests.toy_trainer:{name}", trials=12, epochs=9))
        for name in ("ToyTrainer", "MaximisedToyTrainer")
    )
    for one, other in zip(least.records, most.records, strict=True):
        assert (one.params, one.status, one.epochs, one.best_epoch) == (
            other.params,
            other.status,
            other.epochs,
            other.best_epoch,
        )
        assert one.objective == -(other.objective or 0.0)
        assert [(event["decision"], event["epoch"]) for event in one.rungs] == [
            (event["decision"], event["epoch"]) for event in other.rungs
        ]
    assert least.best is not None
    assert most.best is not None
    assert least.best.trial_id == most.best.trial_id
    assert yaml.safe_load(most.folder.sweep_yaml.read_text())["objective"]["mode"] == "max"
    assert optuna.load_study(study_name="toy", storage=f"sqlite:///{most.folder.optuna_db}").best_value == (
        most.best.objective
    )


def test_a_trainer_is_started_after_its_checkpoint_and_closed_at_every_end(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    changes: dict[str, object] = {"raise_once_at": 2}
    result = run(
        toy_request(tmp_path, trainer=f"{__name__}:Starts", data=str(data), trials=2, concurrent=1, set_params=changes)
    )
    for record in result.records:
        folder = result.folder.trial(record.trial_id)
        first = f"{record.trial_id} 3 1 0 []"
        assert (folder / "starts").read_text().splitlines() == [first, f"{record.trial_id} 3 2 1 []"]
        assert {path.name for path in folder.glob("closed*")} == {"closed after 2", "closed after 3"}


def test_a_textual_objective_fails_the_trial_by_name_and_is_no_divergence(tmp_path: Path) -> None:
    with pytest.raises(SweepFailed, match=r"t0001 failed: .*'objective' as str '0.8.*it must be a number"):
        run(toy_request(tmp_path, trainer=f"{__name__}:ReportsWords", trials=2))
