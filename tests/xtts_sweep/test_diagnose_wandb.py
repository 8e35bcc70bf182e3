"""`diagnose --wandb` adds a note and a table to the run that a .wandb file is of, with real offline runs of W&B."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import ROOT
from tests.sweeps.wandb.wandb_files import WandbFile, read_records
from tests.sweeps.wandb.wandb_server import KEY, wandb_server
from xtts_sweep.diagnosis.diagnose import diagnose
from xtts_sweep.main import main

TRAINER = """
import math, wandb
run = wandb.init(mode="offline", project="speech", name="first try", notes="with the new clips",
                 config={"mel_loss_weight": 35.0})
for step in range(40):
    run.log({"train/loss": 184 * (0.3 + 0.7 * math.exp(-step / 9)), "val/mel": 1 + math.exp(-step / 9)})
run.finish()
"""


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trainer's offline run, with its weight in the config: the only place where an offline run has it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    subprocess.run([sys.executable, "-c", TRAINER], cwd=tmp_path, check=True, capture_output=True)
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    return folder


def wait_until_written(file: Path) -> None:
    """W&B's own process may write the last records after `finish` has returned; a command waits for it as it exits."""
    until = time.monotonic() + 30
    while not any(record.WhichOneof("record_type") == "exit" for record in read_records(file)):
        assert time.monotonic() < until, "the fragment has no end"
        time.sleep(0.05)


def test_findings_become_a_note_and_a_table_of_the_run(offline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = offline.glob("*.wandb")
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    assert main(["diagnose", str(offline)]) == 0
    assert [one.name for one in offline.parent.glob("offline-run-*")] == [offline.name], "untouched unless asked"

    assert main(["diagnose", str(offline), "--wandb"]) == 0
    said = capsys.readouterr().err
    assert "nothing was uploaded yet" in said
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
    (added,) = (one for one in offline.parent.glob("offline-run-*") if one != offline)
    (path,) = added.glob("*.wandb")
    assert f"`wandb sync {offline} {added}`" in said
    wait_until_written(path)
    original, fragment = WandbFile(file), WandbFile(path)
    assert fragment.run.run_id == original.run.run_id
    assert fragment.run.project == "speech"
    assert fragment.run.notes.startswith("with the new clips\n")
    assert "mel weight 35 times an error of 5.26" in fragment.run.notes
    assert fragment.steps == [40], "behind the trainer's own steps"
    assert fragment.config["mel_loss_weight"] == 35.0
    assert fragment.summary["val/mel"] == pytest.approx(original.summary["val/mel"])
    assert fragment.summary["diagnosis/state"] == "healthy"
    (table,) = (added / "files").rglob("*.table.json")
    rows = json.loads(table.read_text(encoding="utf-8"))["data"]
    assert "three_digits_raw_mel" in {row[-1] for row in rows}

    found = diagnose(offline.parent)
    assert not found.others, "both folders are of one run"
    assert found.epochs == 40
    assert found.unmapped == ()


@pytest.fixture
def online(offline: Path) -> Path:
    """The same files as those of a run that was uploaded while it trained."""
    return offline.rename(offline.with_name(offline.name.removeprefix("offline-")))


def test_findings_of_an_online_run_are_uploaded(online: Path) -> None:
    """Against a server on the loopback that speaks W&B's protocol."""
    run_id = online.name.rpartition("-")[2]
    with wandb_server() as server:
        environment = {**os.environ, "WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url}
        command = [sys.executable, str(ROOT / "run_sweep.py"), "diagnose", str(online), "--wandb"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    said = done.stderr
    assert f"added to W&B run {run_id}: {server.url}" in said
    assert "mel weight 35 times an error of 5.26" in server.runs[run_id]["notes"]
    assert server.runs[run_id]["project"] == "speech"
    assert server.summaries[run_id]["diagnosis/state"] == "healthy"
    assert server.summaries[run_id]["val/mel"] == pytest.approx(1 + math.exp(-39 / 9))
    assert any("diagnosis" in row for row in server.rows(run_id))
    assert server.unknown == []


def test_an_online_run_that_cannot_be_reached_is_one_line_and_leaves_nothing(
    online: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    before = sorted(online.parent.iterdir())
    assert main(["diagnose", str(online), "--wandb"]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "nothing was added to run" in said
    assert "wandb login" in said
    assert sorted(online.parent.iterdir()) == before
