"""What a sweep says when it ends, in both languages, from records alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from messages import Texts
from sweeps.confirm.comparison import judgement
from sweeps.run.folder import RunFolder
from sweeps.run.run import SweepResult
from sweeps.run.summary import closing_lines
from sweeps.search.asha import rung_correlation
from sweeps.trials.record import TrialRecord, best_record
from tests.sweeps.builders import trial
from tests.sweeps.confirm.test_confirmation import carried_out


def result(folder: Path, records: list[TrialRecord], **changes: Any) -> SweepResult:
    correlation = rung_correlation(records, 1)
    whole = SweepResult(
        RunFolder(folder / "night"),
        records,
        best_record(records),
        "finished",
        "all 6 trials are done",
        61.0,
        correlation,
    )
    return replace(whole, comparison=judgement(records), **changes)


@pytest.mark.parametrize("lang", ["en", "fa"])
def test_the_lines_name_best_default_verdict_rival_and_where_to_look(tmp_path: Path, lang: str) -> None:
    records = carried_out([0.7, 0.71, 0.69], [0.8, 0.81, 0.79])
    rival = replace(trial(90, [0.9, 0.7]), role="rival", origin="rival", label="balancer")
    lines = closing_lines(result(tmp_path, [*records, rival]), lang, findings=["first"])
    text = "\n".join(lines)
    assert lines[0] == "first"
    assert "0.5000" in text
    assert "t0003" in text
    assert "balancer" in text
    assert str(tmp_path / "night" / "report.html") in text
    say = Texts("closing", lang)
    for label in ("best", "default", "finalist", "verdict", "rival", "rungs", "config", "report"):
        assert any(line.startswith(say(label)) for line in lines), label
    english = [word for word in ("the best", "objective", "finished", "trials") if word in text]
    assert not english if lang == "fa" else english


def test_an_unconfirmed_sweep_says_so_and_an_interrupted_one_how_to_go_on(tmp_path: Path) -> None:
    records = [trial(1, [0.9, 0.8], origin="default"), trial(2, [0.9, 0.6])]
    for say in (Texts("closing", "en"), Texts("closing", "fa")):
        assert any(say("one_seed") in line for line in closing_lines(result(tmp_path, records), say.lang))
        cut = closing_lines(result(tmp_path, records, ended="interrupted", address="auto"), say.lang)
        assert cut[-1].startswith(say("resume"))
        assert f"run_sweep.py resume night --output {tmp_path} --address auto" in cut[-1]


def test_the_best_s_speed_and_its_mean_over_the_epochs_both_have_stand_beside_the_default_s(tmp_path: Path) -> None:
    def counted(record: TrialRecord) -> TrialRecord:
        reports = [{**one, "updates": 10 * int(str(one["epoch"])), "mean_frame_error": 1.0} for one in record.reports]
        return replace(record, reports=tuple(reports))

    default = counted(trial(1, [0.9, 0.8, 0.7, 0.6, 0.5, 0.5, 0.5], origin="default"))
    best = counted(trial(2, [0.7, 0.5, 0.45], "stopped"))
    (line,) = (line for line in closing_lines(result(tmp_path, [default, best])) if line.startswith("speed"))
    assert "the default in 4.5: " in line
    assert "over the 3 epochs that both have: 0.5500 against 0.8000" in line
