"""Finalist against default: the config that is recommended, verdict.json, baselines and secondary metrics."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeps.confirm.comparison import break_even_of, comparison_of
from sweeps.confirm.confirmation_runs import verdict_so_far
from sweeps.confirm.plan import TWO_LOOK_DESIGN
from sweeps.confirm.speed_up import SpeedUpOverSeeds
from sweeps.confirm.verdict_text import sentence
from sweeps.run.convergence_columns import convergence_by_trial
from sweeps.run.folder import RunFolder
from sweeps.run.run import Run
from sweeps.search.memory import memory_of
from sweeps.search.options import SearchOptions
from sweeps.trials.record import records_from_events
from sweeps.tuner.api import plan_for
from sweeps.tuner.output_files import write_tables
from tests import ROOT
from tests.sweeps.builders import toy_request, trial
from tests.sweeps.confirm.confirmations import carried_out, ended, planned, searched


@pytest.mark.parametrize(
    ("finalist", "word", "config"),
    [
        ([0.70, 0.71, 0.69], "better", "t0002"),
        ([0.80, 0.8005, 0.7998], "no difference", "t0001"),
        ([0.90, 0.91, 0.92], "worse", "t0001"),
        ([0.70, 0.85, 0.80], "undecided", "t0001"),
        ([0.70, math.nan, 0.70], "undecided", "t0001"),
        ([0.70, 0.70], "undecided", "t0001"),
    ],
)
def test_only_a_better_finalist_replaces_the_default(finalist: list[float], word: str, config: str) -> None:
    judged = comparison_of(carried_out(finalist, [0.8] * len(finalist)))
    assert judged is not None
    assert (judged.verdict.word, judged.proven.trial_id) == (word, config)
    assert judged.finalist.trial_id == "t0002"
    assert {run.params["evaluate_on"] for run in judged.proven_runs} == {"test"}


def test_nothing_is_judged_before_a_pair_has_ended() -> None:
    records = [record for record in carried_out([0.7], [0.8]) if record.label != "finalist t0002"]
    assert comparison_of(records) is None


def test_the_verdict_file_holds_both_configs(tmp_path: Path) -> None:
    request = toy_request(tmp_path, confirm_seeds=3)
    records = carried_out([0.70, 0.71, math.nan], [0.8] * 3)
    write_tables(Run(RunFolder(tmp_path), request, plan_for(request), (), records))
    stored = json.loads((tmp_path / "verdict.json").read_text())
    assert stored["verdict"] == "undecided"
    assert stored["diverged"]["finalist"] == [2004]
    assert stored["finalist"] == {"trial_id": "t0002", "params": records[1].params}
    assert stored["default"] == {"trial_id": "t0001", "params": records[0].params}


@pytest.mark.parametrize(("sign", "used"), [(1, True), (-1, False)])
def test_the_verdict_says_whether_the_memory_agreed(tmp_path: Path, sign: int, used: bool) -> None:
    old = [trial(number, [0.3 + sign * 0.1 * abs(number - 13)]) for number in range(1, 31, 2)]
    request = toy_request(tmp_path, confirm_seeds=3)
    memory = memory_of({"old": old}, request.space)
    config = replace(request, search=SearchOptions(memory=memory))
    records = [*carried_out([0.7] * 3, [0.8] * 3), *(trial(n, [0.5 + 0.01 * abs(n - 13)]) for n in (9, 13, 19, 27))]
    write_tables(Run(RunFolder(tmp_path), config, plan_for(config), (), records))
    stored = json.loads((tmp_path / "verdict.json").read_text())
    rank = stored["memory"]["rank_correlation"]
    assert stored["memory"] == {"from": ["old"], "rank_correlation": pytest.approx(sign, abs=0.8), "used": used}
    assert stored["sentence"].startswith("better: ")
    assert f"Memory: old: its order {'agrees' if used else 'does not agree'}" in stored["sentence"]
    assert f"(rank correlation {rank:+.2f})" in stored["sentence"]


def test_a_judged_run_is_as_fast_as_it_is_against_the_default_of_its_seed() -> None:
    records = carried_out([0.7] * 3, [0.8] * 3)
    for index, record in enumerate(records):
        scale = 1.5 if record.origin == "confirmation" else 1.0
        reports = [{**report, "mean_frame_error": scale} for report in record.reports]
        records[index] = replace(record, reports=tuple(reports))
    speeds = convergence_by_trial(records)
    defaults = [record for record in records if record.label == "default"]
    assert [speeds[record.trial_id]["speedup"] for record in defaults] == [1.0] * 3


def test_a_rival_as_good_as_the_finalist_speaks_in_the_verdict() -> None:
    records = searched()
    confirmation = planned(records, rivals={"scale": {}})
    ends = {"finalist": [0.7, 0.71, 0.69], "default": [0.8, 0.81, 0.79], "scale": [0.7, 0.71, 0.69]}
    counted = dict.fromkeys(ends, 0)
    while due := confirmation.due(records):
        run, side = due[0], due[0].label.split()[0]
        end = 0.6
        if side in ends:
            end, counted[side] = ends[side][counted[side]], counted[side] + 1
        records.append(replace(ended(run, [1.0, end, end, end]), role=run.role, trial_id=f"x{len(records)}"))
    judged = comparison_of(records)
    assert judged is not None
    assert any(
        "scale, which needs no sweep, is as good as the finalist" in note.text() for note in judged.verdict.notes
    )
    assert any("scale" in note.text("fa") for note in judged.verdict.notes)


def test_figures_are_compared_by_seed_and_speak_where_they_point_elsewhere() -> None:
    def with_figure(values: dict[str, list[float]]) -> Any:
        records = carried_out([0.7, 0.71, 0.69], [0.8, 0.81, 0.79])
        places = dict.fromkeys(values, 0)
        for index, record in enumerate(records):
            side = (record.label or "").split(" ")[0]
            if record.origin == "confirmation" and side in values:
                figure = {"mean": values[side][places[side]], "label": "mcd"}
                places[side] += 1
                last = {**record.reports[-1], "figures": {"mcd_db": figure, "odd": "no figure"}}
                records[index] = replace(record, reports=(*record.reports[:-1], last))
        return comparison_of(records)

    worse = with_figure({"finalist": [5.5, 5.6, 5.7], "default": [5.0, 5.1, 5.2]})
    assert [figure.name for figure in worse.figures] == ["mcd_db"]
    assert worse.figures[0].percent == pytest.approx(100 * 0.5 / 5.1)
    assert worse.verdict.word == "better"
    assert "mcd disagrees" in sentence(worse.verdict)
    agrees = with_figure({"finalist": [5.0, 5.1, 5.2], "default": [5.5, 5.6, 5.7]})
    assert agrees.verdict.notes == ()
    assert with_figure({"finalist": [5.0, 5.1, 5.2]}).figures == ()


def test_a_speed_up_that_was_shown_says_after_how_many_trainings_the_sweep_has_paid() -> None:
    records = carried_out([0.70, 0.71, 0.69], [0.8, 0.81, 0.79])
    timed = []
    for record in records:
        reports = [{**report, "seconds": 10.0 * int(str(report["epoch"]))} for report in record.reports]
        timed.append(replace(record, reports=tuple(reports)))
    verdict = verdict_so_far(timed)
    assert verdict is not None
    fast = replace(verdict, speed_up=SpeedUpOverSeeds(2.0, 1.5, 2.6, 0.95, 3, 0))
    defaults = [record for record in timed if record.label == "default"]
    found = break_even_of(timed, fast, defaults)
    assert found is not None
    assert found.spent == sum(10.0 * record.epochs for record in timed)
    assert found.saved_each == pytest.approx(20.0)
    assert found.trainings == math.ceil(found.spent / 20.0)
    unsure = replace(fast, speed_up=SpeedUpOverSeeds(2.0, 0.9, 4.4, 0.95, 3, 0))
    assert break_even_of(timed, unsure, defaults) is None


def test_a_run_that_was_written_when_two_looks_were_planned_is_read_and_judged_as_it_was_then() -> None:
    events = [json.loads(line) for line in (ROOT / "tests/fixtures/version_0_1/two_looks.jsonl").open()]
    judged = comparison_of(records_from_events(events))
    assert judged is not None
    assert judged.verdict.word == "no difference"
    assert judged.verdict.looks == TWO_LOOK_DESIGN.looks
    assert judged.verdict.interval_percent == pytest.approx((-0.09433976287793967, -0.09388954020911354))
    assert judged.to_json()["confidence"] == 0.99
