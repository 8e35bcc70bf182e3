"""The command line as people use it: real processes, exit codes, one line where something is wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests import ROOT
from tests.xtts.made_speech import write_clip, write_ljspeech, write_metadata
from xtts_sweep.main import main

TOY = ["--trainer", "tests.toy_trainer:ToyTrainer"]


def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "run_sweep.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
    )


def inside(capsys: pytest.CaptureFixture[str], *arguments: object) -> subprocess.CompletedProcess[str]:
    """The same without a process of its own: a second less."""
    capsys.readouterr()
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = int(str(end.code))
    out, err = capsys.readouterr()
    return subprocess.CompletedProcess([], code, out, err)


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2, one line on standard error (after lines of progress), nothing on standard output."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("run_sweep.py"), done.stderr
    for word in words:
        assert word in last


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ljspeech(tmp_path_factory.mktemp("speech"))


def test_help_answers_at_once_and_names_every_command() -> None:
    begun = time.perf_counter()
    done = command("--help")
    assert time.perf_counter() - begun < 1.0
    assert done.returncode == 0
    for word in ("--space", "--trials", "--budget", "resume", "export", "say", "check", "spaces"):
        assert word in done.stdout


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / "run_sweep.py"), "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "ray", "optuna", "numpy", "librosa", "wandb", "pandas"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--space", "safe_weigths"], ["safe_weigths", "did you mean 'safe_weights'"]),
        (["--trials", "0"], ["--trials 0"]),
        (["--epochs", "0"], ["--epochs 0"]),
        (["--trials", "many"], ["many"]),
        (["--budget", "soon"], ["--budget 'soon'"]),
        (["--budget", "0s"], ["--budget"]),
        (["--model", "tinny"], ["tinny", "tiny"]),
        (["--set", "mel_loss_wieght=2"], ["mel_loss_wieght"]),
        (["--set", "mel_loss_weight=45"], ["mel_loss_weight"]),
        (["--set", "learning_rate=fast"], ["learning_rate 'fast'"]),
        (["--set", "history_dropout=3"], ["history_dropout 3"]),
        (["--set", "nothing"], ["nothing"]),
        (["--name", "../elsewhere"], ["../elsewhere"]),
        (["--trainer", "no.such:Thing"], ["no.such"]),
        (["--concurrent", "0"], ["--concurrent"]),
        (["--data", "/no/such/folder"], ["/no/such/folder"]),
        (["--sapce", "x"], ["--sapce"]),
        (["resume", "nothing-here"], ["nothing-here"]),
        (["report", "nothing-here"], ["nothing-here"]),
        (["say", "hello", "-o", "x.wav"], ["no run"]),
        (["export", "--to", "native", "-o", "x.yaml"], ["no run"]),
        (["check", "/no/such/folder"], ["/no/such/folder"]),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(
    arguments: list[str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = [] if arguments[0] == "check" else ["--output", tmp_path]
    refused(inside(capsys, *arguments, *output), *words)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_has_no_model_to_speak_with_says_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "tests/fixtures/version_0_1/searched", tmp_path / "old")
    asked = ("say", "old", "hello", "-o", tmp_path / "x.wav", "--output", tmp_path)
    refused(inside(capsys, *asked), "run old has no best/", f"resume old --output {tmp_path}")
    (tmp_path / "old" / "best").mkdir()
    refused(inside(capsys, *asked), "no model that can speak there (model.json is missing)")


def test_a_space_that_is_not_yaml_is_refused_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = tmp_path / "broken.yaml"
    space.write_text("name: [unclosed\nparameters: }", "utf-8")
    refused(inside(capsys, "--space", space, "--output", tmp_path / "runs"), "broken.yaml")


def test_a_space_outside_the_limits_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = tmp_path / "wild.yaml"
    space.write_text(
        yaml.safe_dump(
            {
                "name": "wild",
                "parameters": {
                    "mel_loss_weight": {"distribution": "uniform", "min": 1.0, "max": 45.0, "default": 2.5},
                },
            }
        ),
        "utf-8",
    )
    refused(inside(capsys, "--space", space, "--output", tmp_path / "runs", *TOY), "mel_loss_weight", "5")


def test_a_malformed_metadata_file_is_refused_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_ljspeech(tmp_path / "speech")
    write_metadata(folder, ["clip000|one|one", "clip001", "clip002|two|two|three|four"])
    refused(inside(capsys, "--data", folder, "--output", tmp_path / "runs"), "metadata.csv:2:")


def test_an_empty_metadata_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_ljspeech(tmp_path / "speech")
    (folder / "metadata.csv").write_text("", "utf-8")
    refused(inside(capsys, "--data", folder, "--output", tmp_path / "runs"), "metadata.csv")


def test_more_than_a_twentieth_of_broken_clips_stops_a_sweep_unless_it_is_told_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_ljspeech(tmp_path / "speech", count=30)
    for number in range(3):
        (folder / "wavs" / f"clip{number:03d}.wav").write_bytes(b"not a recording")
    refused(inside(capsys, "--data", folder, "--output", tmp_path / "runs", "--dry-run"), "--accept-unusable")
    accepted = inside(capsys, "--data", folder, "--output", tmp_path / "runs", "--dry-run", "--accept-unusable")
    assert accepted.returncode == 0, accepted.stderr
    assert "left out     3 clips" in accepted.stdout


def test_check_names_broken_clips_and_the_three_digit_loss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_ljspeech(tmp_path / "speech")
    (folder / "wavs" / "clip003.wav").write_bytes(b"RIFF")
    done = inside(capsys, "check", folder)
    assert done.returncode == 0, done.stderr
    assert "clip003" in done.stdout
    assert "three digits" in done.stdout
    as_json = json.loads(inside(capsys, "check", folder, "--json").stdout)
    assert as_json["clips"] == 19
    assert 0 <= as_json["alignment"]["mean_confidence"] <= 1


def test_a_dry_run_prints_the_plan_and_starts_nothing(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = inside(capsys, "--data", speech, "--output", tmp_path, "--dry-run", "--concurrent", 2)
    assert done.returncode == 0, done.stderr
    assert "2 trials at a time" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_spaces_lists_all_that_ship() -> None:
    done = command("spaces")
    for name in ("safe_weights", "balance", "with_learning_rate", "before_after"):
        assert name in done.stdout


@pytest.mark.slow
def test_a_sweep_on_speech_from_command_to_spoken_word(speech: Path, tmp_path: Path) -> None:
    run = tmp_path / "first"
    output = ("--output", tmp_path)
    done = command(
        "--data", speech, *output, "--name", "first", "--trials", 3, "--epochs", 3, "--confirm-seeds", 1, "--json"
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["best"]["objective"] > 0
    best = yaml.safe_load((run / "best_config.yaml").read_text("utf-8"))
    assert {"mel_loss_weight", "kl_loss_weight", "gradient_clip_norm"} <= best["training"].keys()
    assert best["training"]["mel_loss_weight"] == 2.5, "one seed proves nothing: the default stays"
    events = [json.loads(line) for line in (run / "trials.jsonl").read_text("utf-8").splitlines()]
    assert all({"event", "trial_id", "time"} <= event.keys() for event in events)
    first = next(event for event in events if event["event"] == "trial_started")
    assert first["params"] == {"mel_loss_weight": 2.5, "kl_loss_weight": 1.0, "gradient_clip_norm": 0.5}
    reports = [event for event in events if event["event"] == "report"]
    assert {"objective", "text_use", "val/next", "val/free", "val/nll", "skill", "evaluations"} <= reports[0].keys()
    firsts = [report["evaluations"] for report in reports if report["epoch"] == 1]
    assert all(len(evaluations) > 1 and evaluations[-1]["epoch"] == 1.0 for evaluations in firsts)
    roles = [event["role"] for event in events if event["event"] == "trial_started"]
    assert (roles.count("trial"), roles.count("confirm")) == (3, 4)
    assert json.loads((run / "verdict.json").read_text("utf-8"))["verdict"] == "undecided"
    for name in ("sweep.yaml", "trials.csv", "report.html", "optuna.db"):
        assert (run / name).stat().st_size > 0
    listed = command("list", *output)
    assert "first" in listed.stdout
    wav = tmp_path / "said.wav"
    said = command("say", "first", "the river and morning", "-o", wav, *output)
    assert said.returncode == 0, said.stderr
    assert wav.stat().st_size > 10_000
    refused(command("say", "first", "؟!", "-o", wav, *output), "no character")
    refused(command("say", "first", "the river", "--voice", "nobody", "-o", wav, *output), "nobody")
    native = tmp_path / "native.yaml"
    assert command("export", "first", "--to", "native", "-o", native, *output).returncode == 0
    assert (
        yaml.safe_load(native.read_text("utf-8"))["training"]["mel_loss_weight"] == best["training"]["mel_loss_weight"]
    )
    refused(command("export", "first", "--to", "native", "-o", native, *output), "native.yaml")
    refused(command("--data", speech, *output, "--name", "first", "--trials", 1), "first")
    secret = command("report", "first", *output, HOPEFULLY_NOT_WRITTEN="s3cret-value")
    assert secret.returncode == 0, secret.stderr
    assert not any(b"s3cret-value" in path.read_bytes() for path in run.rglob("*") if path.is_file())


@pytest.mark.slow
def test_an_interrupted_sweep_prints_its_resume_line_and_goes_on(tmp_path: Path) -> None:
    arguments = [
        *TOY,
        "--output",
        str(tmp_path),
        "--name",
        "slow",
        "--trials",
        "4",
        "--epochs",
        "3",
        "--set",
        "slow=0.5",
        "--confirm-seeds",
        "0",
    ]
    running = subprocess.Popen(
        [sys.executable, str(ROOT / "run_sweep.py"), *arguments, "--concurrent", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    journal = tmp_path / "slow" / "trials.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (journal.exists() and '"report"' in journal.read_text("utf-8")):
        time.sleep(0.2)
    begun = time.monotonic()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert time.monotonic() - begun < 10
    assert running.returncode == 130, err
    assert f"python run_sweep.py resume slow --output {tmp_path}" in out + err  # stderr, where files take too long
    done = command("resume", "slow", "--output", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert sum(json.loads(done.stdout)["trials"].values()) == 4


def test_a_speaker_column_and_other_rates_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "coqui"
    rows = ["audio_file|text|speaker_name"]
    for number in range(12):
        write_clip(folder / "audio" / f"c{number}.wav", 0.5, seed=number)
        rows.append(f"audio/c{number}.wav|sentence number {chr(97 + number)}|{'ann' if number % 2 else 'bob'}")
    write_metadata(folder, rows)
    done = inside(capsys, "check", folder, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["speakers"] == {"ann": 6, "bob": 6}
