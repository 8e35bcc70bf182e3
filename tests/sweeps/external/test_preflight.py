"""The preflight, on the fixture: what is deterministic, weight-free and alive, and what a sweep is refused for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from messages import text
from sweeps.common.errors import RequestError
from sweeps.external.preflight import Preflight, checked_before, preflight
from sweeps.external.spec import load_spec
from sweeps.external.trainer import bound
from tests import ROOT
from xtts_sweep.main import main

pytestmark = pytest.mark.timeout(900)  # a preflight starts about ten programs that import torch, one after the other
FIXTURE = ROOT / "tests" / "trainers_fixture"
DEAD = {"key": "loss.dead", "distribution": "log_uniform_values", "min": 0.25, "max": 4}


def checked(guise: str = "tensorboard", **changes: Any) -> Preflight:
    overrides = {key.replace("__", "."): value for key, value in changes.items()}
    return preflight(bound(load_spec(str(FIXTURE / f"{guise}.yaml"), overrides)), "", 7)


def test_a_good_spec_passes_and_a_dead_parameter_is_named() -> None:
    found = checked(params__dead=DEAD)
    assert (found.deterministic, found.seed_acts) == (True, True)
    assert (found.weight_free, found.weight_free_by) == (True, "frozen")
    assert found.acts == {"mel_w": True, "kl_w": True, "clip": True, "dead": False}
    assert found.refusals == []
    assert found.warnings == ["dead: does nothing in this trainer; leave it out of the search"]
    assert found.epoch_seconds > 0


def test_a_weighted_objective_is_refused_and_its_parameters_still_act() -> None:
    found = checked(report__objective="val/mel")
    assert not found.weight_free
    assert found.acts == {"mel_w": True, "kl_w": True, "clip": True}
    assert "the smallest weight would win" in found.refusals[0]


@pytest.mark.parametrize(("objective", "free"), [("val_mel / mel_w", True), ("val_mel", False)])
def test_without_a_learning_rate_to_turn_off_the_size_of_the_objective_judges(objective: str, free: bool) -> None:
    command = [
        "{python}",
        "train.py",
        "--mel-w",
        "{mel_w}",
        "--kl-w",
        "{kl_w}",
        "--seed",
        "{seed}",
        "--out",
        "{folder}",
    ]
    spec = load_spec(str(FIXTURE / "stdout.yaml"))
    params = {name: entry for name, entry in spec.given["params"].items() if name in ("mel_w", "kl_w")}
    found = checked("stdout", command=command, params=params, report={"objective": objective})
    assert (found.weight_free, found.weight_free_by) == (free, "size")


def test_a_program_without_seeds_is_not_deterministic() -> None:
    found = checked(**{"set.+train.unseeded": True})
    assert not found.deterministic
    assert found.refusals == []
    assert "seed_first: true may help" in found.warnings[0]


def test_a_default_that_fails_is_one_line() -> None:
    with pytest.raises(RequestError, match="preflight of fixture-tensorboard, the default config: the program ended"):
        checked(set__train__misbehave="silent")


def test_what_passed_is_not_run_again_until_the_spec_changes(tmp_path: Path) -> None:
    lines: list[str] = []

    def run(start: bool = True, **overrides: Any) -> Preflight | None:
        trainer = bound(load_spec(str(FIXTURE / "csv.yaml"), overrides))
        return checked_before(trainer, "", 7, tmp_path, threads=1, gpus=(), start=start, log=lines.append)

    assert run(start=False) is None
    first = run()
    count = len(lines)
    assert count > 3
    assert run() == first
    assert len(lines) == count
    assert run(start=False, **{"set.train.lr": 0.03}) is None


def test_on_a_cluster_nothing_is_run_and_one_line_says_so(tmp_path: Path) -> None:
    lines: list[str] = []
    trainer = bound(load_spec(str(FIXTURE / "csv.yaml")))
    options = {"threads": 1, "gpus": (), "start": True, "remote": True, "fixed": {}}
    assert trainer.check_before_sweep("", 7, tmp_path, lines.append, **options) == {}
    assert lines == [text("preflight.remote")]


def test_check_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--trainer", str(FIXTURE / "csv.yaml"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["deterministic"], printed["weight_free"]) == (True, True)
    assert printed["acts"] == {"mel_w": True, "kl_w": True, "layers": False}
    assert printed["epoch_seconds"] > 0


def test_the_shipped_specs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trainers", "--json"]) == 0
    assert "coqui_vits" in [spec["spec"] for spec in json.loads(capsys.readouterr().out)]
    assert main(["trainers"]) == 0
    listed = capsys.readouterr().out
    assert "mel_loss_alpha           5 to 90, default as in your template" in listed
    assert "batch_size               8, 16, 32, 64, default 32" in listed


def test_a_sweep_that_would_be_a_lie_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--trainer", str(FIXTURE / "csv.yaml"), "--set", "report.objective=val/mel", "--output", str(tmp_path)]
    assert main([*arguments, "--wandb", "off"]) == 2
    assert "the smallest weight would win" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert main([*arguments, "--wandb", "off", "--trials", "2", "--dry-run", "--set", "template=gone.yaml"]) == 2
    assert "gone.yaml: cannot be read" in capsys.readouterr().err
