"""Runs of older versions (sweep.yaml and trials.jsonl, as they wrote them) are resumed, confirmed and reported."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.run.folder import RunFolder
from sweeps.run.run import read_run
from sweeps.trials.journal import Journal
from sweeps.tuner.api import confirm, resume, rewrite_files
from sweeps.tuner.confirmation_phase import ConfirmationPhase
from tests import ROOT
from tests.toy_trainer import ToyTrainer

OLD = ROOT / "tests" / "fixtures" / "version_0_1"
BEFORE_RATE_PROBE = ROOT / "tests" / "fixtures" / "before_rate_probe"
"""Of the commit before a better finalist's gain was divided by a probe of the learning rate"""


def old_run(name: str, tmp_path: Path, version: Path = OLD) -> Path:
    return Path(shutil.copytree(version / name, tmp_path / name))


def test_a_run_that_finished_before_rates_were_probed_has_nothing_left_to_run(tmp_path: Path) -> None:
    """No Ray is started; a run that ended so in this version has its probe, and `confirm --explain` still asks."""
    path = old_run("better", tmp_path, BEFORE_RATE_PROBE)
    before = read_run(path)
    assert before.verdict is not None
    assert before.verdict.word == "better"
    assert "learning_rate" in {parameter.name for parameter in before.config.space.searched}
    result = resume(path)
    assert result.ended == "finished"
    assert result.records == before.records
    assert result.verdict == before.verdict
    with Journal(RunFolder(path).trials_jsonl) as journal:
        explained = replace(before.config, explain=True)
        assert ConfirmationPhase(explained, ToyTrainer, journal, searching=False).has_more()
        assert not ConfirmationPhase(before.config, ToyTrainer, journal, searching=False).has_more()
        cut = [event for event in journal.events if event["event"] != "confirm_ended"]
    interrupted = tmp_path / "cut.jsonl"
    interrupted.write_text("".join(json.dumps(event) + "\n" for event in cut))
    with Journal(interrupted) as journal:
        assert ConfirmationPhase(before.config, ToyTrainer, journal, searching=True).has_more()


def test_its_records_files_and_verdict_are_read(tmp_path: Path) -> None:
    run = read_run(old_run("confirmed", tmp_path))
    assert len(run.records) > 6
    assert {record.mode for record in run.records} == {"min"}
    assert run.verdict is not None
    assert run.verdict.word == "no difference", "two planned looks are judged by their own plan"
    rewrite_files(run)
    assert run.folder.report.exists()
    assert len(run.folder.trials_csv.read_text().splitlines()) == len(run.records) + 1


@pytest.mark.slow
def test_it_takes_more_trials_and_none_is_run_again(tmp_path: Path) -> None:
    path = old_run("searched", tmp_path)
    before = read_run(path).records
    result = resume(path, trials=8)
    assert result.ended == "finished"
    assert [record for record in result.records if record.trial_id <= "t0006"] == before
    assert len(result.records) == 8
    assert all(record.status in ("finished", "stopped") for record in result.records)


@pytest.mark.slow
def test_a_search_is_confirmed_afterwards(tmp_path: Path) -> None:
    result = confirm(old_run("searched", tmp_path), seeds=3)
    assert result.verdict is not None
    assert result.comparison is not None
    assert result.folder.verdict.exists()


@pytest.mark.slow
def test_a_confirmed_run_is_resumed_and_keeps_its_verdict(tmp_path: Path) -> None:
    path = old_run("confirmed", tmp_path)
    before = read_run(path)
    result = resume(path, trials=7)
    assert result.verdict is not None
    assert before.verdict is not None
    assert result.verdict.word == before.verdict.word
    assert result.verdict.pairs == before.verdict.pairs
