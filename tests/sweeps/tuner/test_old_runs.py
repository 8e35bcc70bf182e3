"""Runs of version 0.1 (sweep.yaml and trials.jsonl, as it wrote them) are resumed, confirmed and reported."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sweeps.run.run import read_run
from sweeps.tuner.api import confirm, resume, rewrite_files
from tests import ROOT

OLD = ROOT / "tests" / "fixtures" / "version_0_1"


def old_run(name: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD / name, tmp_path / name))


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
