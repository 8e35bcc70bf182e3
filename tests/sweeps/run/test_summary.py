"""What a sweep says when it ends, in both languages, from records alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from messages import Texts
from sweeps.run.folder import RunFolder
from sweeps.run.run import Run, SweepResult, read_run
from sweeps.run.summary import MOST_LINES, _against, closing_lines, run_row
from sweeps.trials.record import TrialRecord
from sweeps.tuner.api import plan_for
from tests.sweeps.builders import toy_request, trial
from tests.sweeps.confirm.confirmations import carried_out
from tests.sweeps.report.report_runs import confirmation_events, write_run


def result(
    output: Path, records: list[TrialRecord], ended: str = "finished", address: str | None = None
) -> SweepResult:
    config = toy_request(output, name="night", address=address)
    run = Run(RunFolder(output / "night"), config, plan_for(config), (), records)
    return SweepResult(run, ended, "all 6 trials are done", 61.0)


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
    for label in ("best", "default", "verdict", "rival", "rungs", "config", "report"):
        assert any(line.startswith(say(label)) for line in lines), label
    english = [word for word in ("the best", "objective", "finished", "trials") if word in text]
    assert not english if lang == "fa" else english


def test_the_finalist_is_named_where_it_is_not_the_searchs_best(tmp_path: Path) -> None:
    records = carried_out([0.7, 0.71, 0.69], [0.8, 0.81, 0.79])
    whole = result(tmp_path, records)
    assert whole.comparison is not None
    finalist = whole.comparison.finalist
    assert any(line.startswith(f"finalist     {finalist.trial_id}: ") for line in closing_lines(whole))
    best = replace(finalist, reports=({"event": "report", "epoch": 1, "objective": 0.01},))
    whole = result(tmp_path, [best if record is finalist else record for record in records])
    assert whole.best is best
    assert not any(line.startswith("finalist") for line in closing_lines(whole))


@pytest.mark.parametrize("lang", ["en", "fa"])
def test_there_are_at_most_twelve_lines_whatever_was_found(tmp_path: Path, lang: str) -> None:
    records = carried_out([0.7, 0.71, 0.69], [0.8, 0.81, 0.79])
    rivals = [replace(trial(n, [0.9, 0.7]), role="rival", origin="rival", label=f"method {n}") for n in (90, 91, 92)]
    findings = [f"finding {n}" for n in range(20)]
    lines = closing_lines(result(tmp_path, [*records, *rivals]), lang, findings)
    say = Texts("closing", lang)
    assert len(lines) == MOST_LINES
    assert lines[0] == "finding 0"
    shown = sum(line.startswith("finding ") for line in lines)
    assert lines[-1].endswith(say("more_findings", count=20 - shown))
    for label in ("best", "default", "verdict", "config", "report"):
        assert any(line.startswith(say(label)) for line in lines), label
    few = closing_lines(result(tmp_path, [*records, *rivals]), lang)
    assert len(few) <= MOST_LINES
    assert not few[-1].endswith(")")
    assert sum("method 9" in line for line in few) == 1


def test_a_default_that_a_control_beat_is_not_called_unbeaten(tmp_path: Path) -> None:
    default, control = trial(1, [0.9, 0.8], origin="default"), replace(trial(2, [0.9, 0.6]), role="control")
    text = "\n".join(closing_lines(result(tmp_path, [default, control])))
    assert "control t0002 was better (objective 0.6000), but a control is never recommended" in text
    assert "no other trial beat it" not in text
    worse = replace(trial(2, [0.9, 0.85]), role="control")
    assert "no other trial beat it" in "\n".join(closing_lines(result(tmp_path, [default, worse])))


def test_an_unconfirmed_sweep_says_so_and_an_interrupted_one_how_to_continue(tmp_path: Path) -> None:
    records = [trial(1, [0.9, 0.8], origin="default"), trial(2, [0.9, 0.6])]
    for say in (Texts("closing", "en"), Texts("closing", "fa")):
        assert any(say("one_seed") in line for line in closing_lines(result(tmp_path, records), say.lang))
        cut = closing_lines(result(tmp_path, records, ended="interrupted", address="auto"), say.lang)
        assert cut[-1].startswith(say("resume"))
        assert f"run_sweep.py resume night --output {tmp_path} --address auto" in cut[-1]


def test_the_best_s_speed_and_its_mean_over_the_epochs_both_have_stand_next_to_the_default_s(tmp_path: Path) -> None:
    def counted(record: TrialRecord) -> TrialRecord:
        reports = [{**one, "updates": 10 * int(str(one["epoch"])), "mean_frame_error": 1.0} for one in record.reports]
        return replace(record, reports=tuple(reports))

    default = counted(trial(1, [0.9, 0.8, 0.7, 0.6, 0.5, 0.5, 0.5], origin="default"))
    best = counted(trial(2, [0.7, 0.5, 0.45], "stopped"))
    (line,) = (line for line in closing_lines(result(tmp_path, [default, best])) if line.startswith("speed"))
    assert "the default in 4.5: " in line
    assert "over the 3 epochs that both have: 0.5500 against 0.8000" in line


def test_a_lower_negative_objective_is_called_lower() -> None:
    best, default = trial(2, [-1.5]), trial(1, [-1.0])
    assert "50.0 % lower" in _against(best, default, "en")


def test_the_list_counts_neither_confirmation_runs_nor_baselines(tmp_path: Path) -> None:
    events = confirmation_events({2001: 0.51}, {2001: 0.53})
    row = run_row(read_run(write_run(tmp_path, trials=4, more_events=events).path))
    assert (row["trials"], row["ended"], row["of"]) == (4, 4, 4)
