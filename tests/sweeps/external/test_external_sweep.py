"""Whole sweeps of an external trainer on a real Ray, killed at the worst moments."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from sweeps.external.trainer import trainer_of
from sweeps.trainer import TrialContext
from sweeps.trials.journal import read, read_events
from sweeps.trials.record import TrialRecord
from tests import ROOT
from tests.sweeps.external.test_trainer import alive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
FIXTURE = ROOT / "tests" / "trainers_fixture"
TRIALS, EPOCHS = 3, 3


def command(arguments: Sequence[str], tmp_path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run_sweep.py"), *arguments, "--output", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "XTTS_SWEEP_CACHE": str(tmp_path / "cache")},
    )


def finished(process: subprocess.Popen[str], code: int = 0) -> str:
    output, _ = process.communicate(timeout=900)
    assert process.returncode == code, output
    return output


def sweep(name: str, *more: str, guise: str = "tensorboard") -> list[str]:
    given = ["--trainer", str(FIXTURE / f"{guise}.yaml"), "--name", name, "--concurrent", "1"]
    return [*given, "--trials", str(TRIALS), "--epochs", str(EPOCHS), *more]


def undisturbed(record: TrialRecord, folder: Path) -> list[object]:
    """The curve of a trial that nothing happened to."""
    trainer = trainer_of(str(FIXTURE / "tensorboard.yaml"))(record.params, "", record.seed)
    folder.mkdir()
    trainer.start(TrialContext(record.trial_id, EPOCHS, folder=folder))
    try:
        return [trainer.train_epoch()["objective"] for _ in range(EPOCHS)]
    finally:
        trainer.close()


def wait_for_report(path: Path, trial_id: str) -> None:
    """Until the trial has reported its first epoch."""
    end = time.monotonic() + 600
    while time.monotonic() < end:
        events = read_events(path) if path.is_file() else []
        if any(event["event"] == "report" and event["trial_id"] == trial_id for event in events):
            return
        time.sleep(0.05)
    raise AssertionError(f"{trial_id} did not report")


def pids(word: str, folder: Path) -> list[int]:
    return [pid for pid in alive(word) if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_kill_of_driver_worker_and_trainer_then_resume_gives_equal_records(tmp_path: Path) -> None:
    slowly = ("--set", "set.train.sleep=1.5", "--set", "preflight=false", "--confirm-seeds", "0", "--wandb", "off")
    driver = command(sweep("killed", *slowly), tmp_path)
    journal = tmp_path / "killed" / "trials.jsonl"
    wait_for_report(journal, "t0001")
    (program,) = pids("train.py", tmp_path / "killed" / "trials" / "t0001")[-1:]
    os.kill(program, signal.SIGKILL)  # the trial is retried by replay
    wait_for_report(journal, "t0002")
    (supervisor, *_) = pids("supervisor.py", tmp_path / "killed" / "trials" / "t0002")
    worker = int((Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split())[1])
    os.kill(worker, signal.SIGKILL)
    wait_for_report(journal, "t0003")
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    end = time.monotonic() + 20
    while alive(str(tmp_path / "killed" / "trials")) and time.monotonic() < end:
        time.sleep(0.1)
    assert alive(str(tmp_path / "killed" / "trials")) == []

    finished(command(["resume", "killed", "--wandb", "off"], tmp_path))
    killed = read(journal)
    for record in killed:
        assert record.status == "finished"
        assert [report["objective"] for report in record.reports] == undisturbed(record, tmp_path / record.trial_id)
    assert [record.retries for record in killed][:2] == [1, 1]
    resumed = [report for record in killed for report in record.reports if "resume/replayed" in report]
    assert resumed
    assert all(report["resume/difference"] == 0.0 for report in resumed)


def test_a_confirmed_sweep_leaves_everything_a_run_has_and_exports_into_the_template(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text((FIXTURE / "base.yaml").read_text())
    settings = ("--set", f"template={mine}", "--set", "layers=2", "--confirm-seeds", "2", "--wandb", "off")
    output = finished(command(sweep("whole", *settings, guise="csv"), tmp_path))
    run = tmp_path / "whole"
    assert "preflight" in output
    content = yaml.safe_load((run / "sweep.yaml").read_text())
    assert content["data_summary"]["preflight"]["weight_free"] is True
    assert content["trainer_spec"]["template"] == mine.read_text()
    assert list(content["space"]["parameters"]) == ["mel_w", "kl_w"]
    assert {record.role for record in read(run / "trials.jsonl")} == {"trial", "confirm"}
    assert (run / "report.html").is_file()
    assert json.loads((run / "verdict.json").read_text())["verdict"]
    proven = yaml.safe_load((run / "best" / "mine.yaml").read_text())["loss"]
    mine.unlink()  # the run has its own copy
    target = tmp_path / "tuned.yaml"
    exported = ["export", "whole", "--to", "template", "-o", str(target), "--unproven"]
    finished(command(exported, tmp_path))
    text = target.read_text()
    tried = [record.params for record in read(run / "trials.jsonl")]
    for loss in (proven, yaml.safe_load(text)["loss"]):
        assert {"mel_w": loss["mel_w"], "kl_w": loss["kl_w"]} in tried
    assert "# of the mel term" in text
