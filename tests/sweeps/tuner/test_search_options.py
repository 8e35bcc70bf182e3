"""Whole sweeps with options of the search: ended early, with requirements, with a memory of earlier runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.run.progress import LineDisplay
from sweeps.run.run import read_run
from sweeps.run.summary import closing_lines, result_as_dict
from sweeps.search.memory import memory_of
from sweeps.search.options import SearchOptions, search_options
from sweeps.space.space_file import load_space
from sweeps.trials.journal import read, read_events
from sweeps.trials.record import searched
from sweeps.tuner.api import resume, run
from tests.sweeps.builders import toy_request

SPACE = load_space("safe_weights")
pytestmark = pytest.mark.slow


def test_a_search_that_can_hardly_gain_ends_early_and_says_what_it_saved(tmp_path: Path) -> None:
    options = SearchOptions(gain_percent=5.0)
    shown: list[str] = []
    request = toy_request(tmp_path, trials=40, epochs=2, search=options, set_params={"noise": 0.0}, confirm_seeds=3)
    result = run(request, display=LineDisplay(shown.append))
    events = read_events(tmp_path / "toy" / "trials.jsonl")
    ended = next(event for event in events if event["event"] == "gain_unlikely")
    assert len(searched(result.records)) == ended["trials"] == result.run.trials < 40
    confirming = [line for line in shown if line.startswith("c")]
    assert confirming
    assert all(f"{ended['trials']} of {ended['trials']} trials (40 planned)" in line for line in confirming)
    assert f"{len(confirming)} of {len(confirming)} confirmation runs" in confirming[-1]
    assert result.ended == "finished"
    assert f"{ended['trials']} of 40 trials are done" in result.reason
    assert any("of 40 trials, about" in line for line in closing_lines(result))
    assert result_as_dict(result)["search_end"]["planned"] == 40  # type: ignore[index]
    again = resume(tmp_path / "toy")
    assert len(again.records) == len(result.records)
    more = resume(tmp_path / "toy", trials=41, gain_percent=0)
    assert len(searched(more.records)) == more.run.trials == 41
    assert read_run(tmp_path / "toy").config.search.gain_percent is None


def test_the_best_meets_the_requirement_and_trials_that_miss_it_are_kept(tmp_path: Path) -> None:
    free = run(toy_request(tmp_path, trials=8, epochs=2, name="free"))
    assert free.best is not None
    loss = float(str(free.best.best_report["loss"]))
    options = search_options(SPACE, require=[f"loss > {loss:.6f}"])
    result = run(toy_request(tmp_path, trials=8, epochs=2, search=options))
    assert result.best is not None
    assert float(str(result.best.best_report["loss"])) > round(loss, 6)
    missing = [record for record in result.records if not record.feasible]
    assert missing
    assert all("misses loss >" in record.stop_reason for record in missing if record.status == "finished")
    assert any("full-length trials miss it" in line for line in closing_lines(result))
    assert "loss > " in (tmp_path / "toy" / "sweep.yaml").read_text()


def test_a_sweep_in_which_nothing_is_feasible_says_so(tmp_path: Path) -> None:
    options = search_options(SPACE, require=["text_use >= 0.05", "loss < -1"])
    result = run(toy_request(tmp_path, trials=4, epochs=2, search=options, confirm_seeds=3))
    assert result.best is None
    assert len(result.records) == 4
    lines = closing_lines(result)
    assert sum("no trial meets all requirements" in line for line in lines) == 2
    assert not (tmp_path / "toy" / "best_config.yaml").exists()
    assert (tmp_path / "toy" / "report.html").exists()
    assert any("شرط" in line for line in closing_lines(result, "fa"))


def test_a_search_with_memory_is_the_same_again_when_the_old_run_is_gone(tmp_path: Path) -> None:
    old = run(toy_request(tmp_path, trials=8, epochs=2, name="old"))
    memory = memory_of({"old": searched(old.records)}, SPACE)
    config = toy_request(tmp_path, trials=8, epochs=2, search=SearchOptions(memory=memory))
    result = run(config)
    assert [record.origin for record in result.records[:2]] == ["default", "memory"]
    assert any("memory" in line and "old" in line for line in closing_lines(result))
    first = run(replace(config, name="cut", budget=replace(config.budget, trials=6), cohort=config.sobol_cohort))
    resumed = resume(tmp_path / "cut", trials=8)
    assert len(first.records) == 6
    assert [r.params for r in resumed.records] == [r.params for r in result.records]
    assert read(tmp_path / "toy" / "trials.jsonl")[1].origin == "memory"
    assert read_run(tmp_path / "toy").config.search.memory == memory
