"""What cannot be is told in one line before anything is started or written."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sweeps.backend.callback import failure_in
from xtts_sweep.main import main

TOY = ["--trainer", "tests.toy_trainer:ToyTrainer", "--dry-run"]
SPEECH = ["--dry-run", "--set"]
SETUP_FAILED = """Failure # 1 (occurred at 2026-11-24_04-40-19)
The actor died because of an error raised in its creation task, ray::TrialTrainable.__init__() (pid=19238)
  File "training.py", line 336, in _device
    return torch.device(name)
RuntimeError: no such device: foo
"""


def complaint_of(arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> str:
    """The one line of a refusal."""
    assert main([*arguments, "--output", str(tmp_path / "runs")]) == 2
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([*TOY, "--seed", "-1"], "--seed -1: 0 to"),
        ([*TOY, "--seed", "9" * 23], "0 to 2147483647"),
        ([*TOY, "--cpus-per-trial", "nan"], "--cpus-per-trial nan: must be above 0"),
        ([*TOY, "--gpus-per-trial", "nan"], "--gpus-per-trial nan: must not be negative"),
        ([*TOY, "--storage", ""], "--storage '': expected a folder"),
        ([*TOY, "--address", "127.0.0.1:99999"], "expected auto, HOST:PORT or ray://HOST:PORT"),
        ([*TOY, "--address", ""], "--address '': expected auto"),
        ([*SPEECH, "device=foo"], "device 'foo': expected auto, cpu, cuda or cuda:N"),
        ([*SPEECH, "device=3"], "device 3: expected auto"),
        ([*SPEECH, f"warmup_updates={10**400}"], "expected a whole number"),
        ([*SPEECH, "learning_rate=-2e-3"], "learning_rate -0.002: expected a number above 0"),
    ],
)
def test_a_value_that_cannot_be_is_refused(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert line in complaint_of(arguments, capsys, tmp_path)


@pytest.mark.parametrize("by", ["", "ray://"])
def test_an_address_where_nobody_listens_is_refused_at_once(
    by: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"{by}127.0.0.1:{free.getsockname()[1]}"
    assert f"--address {address}: no server answers there" in complaint_of(
        [*TOY, "--address", address], capsys, tmp_path
    )


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("raise RuntimeError('first\\nsecond')", "cannot be imported (RuntimeError: first second)"),
        ("import sys\nsys.exit(5)", "cannot be imported (SystemExit: 5)"),
        ("class Mine(:", "cannot be imported (SyntaxError"),
        (
            "class Mine:\n    def state_dict(self): ...",
            "has no train_epoch, load_state_dict()",
        ),
    ],
)
def test_a_trainer_whose_module_fails_is_refused_with_its_reason(
    source: str, line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"somebodys_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert line in complaint_of(["--trainer", f"{name}:Mine", "--dry-run"], capsys, tmp_path)


def test_a_relative_module_is_no_trainer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "cannot be imported (TypeError" in complaint_of(["--trainer", "..x:Y", "--dry-run"], capsys, tmp_path)


def test_a_number_in_scientific_notation_needs_no_dot() -> None:
    from xtts_sweep.arguments import settings

    assert settings(["a=2e-3", "b=1E5", "c=-.5e1", "d=e5", "e=1e"]) == {
        "a": 2e-3,
        "b": 1e5,
        "c": -5.0,
        "d": "e5",
        "e": "1e",
    }


def test_what_went_wrong_while_a_trial_was_set_up_is_told_and_not_that_its_worker_died() -> None:
    assert failure_in(SETUP_FAILED).reason == "RuntimeError: no such device: foo"
    assert failure_in("Failure # 1 (occurred at 1)\nThe actor died unexpectedly\n").reason == "the worker process died"
