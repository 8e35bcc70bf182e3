"""The first screen of report.html: which config, is it better, how sure, how much faster, and what to do next."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.confirm.speed_up import SpeedUpOverSeeds
from sweeps.confirm.verdict import judge
from sweeps.report.data import RunData
from sweeps.run.run import read_run
from tests.sweeps.report.pages import BETTER, DEFAULT, ISOLATES, confirmed, read
from tests.sweeps.report.report_runs import confirmation_events, write_run


@pytest.mark.parametrize(
    ("finalist", "headline", "command"),
    [
        (BETTER, "Take this config: it is better than the default.", "run_sweep.py export toy"),
        ({seed: value + 0.0003 for seed, value in DEFAULT.items()}, "Keep the default", None),
        ({seed: value * 1.1 for seed, value in DEFAULT.items()}, "Keep the default: on fresh seeds", None),
        ({2001: 0.50, 2002: 0.56, 2003: 0.53}, "Not decided", "run_sweep.py confirm toy"),
    ],
)
def test_each_verdict_has_its_headline_and_its_next_step(
    tmp_path: Path, finalist: dict[int, float], headline: str, command: str | None
) -> None:
    page = read(write_run(tmp_path), verdict=confirmed(finalist))
    assert headline in page.text("answer-title")
    assert (command in page.text("card-next")) if command else "run_sweep.py" not in page.text("card-next")


def test_the_first_screen_answers_which_better_sure_faster_and_at_what_cost(tmp_path: Path) -> None:
    verdict = replace(confirmed(BETTER), speed_up=SpeedUpOverSeeds(1.42, 1.1, 1.8, 0.99, 3, 0))
    folder = write_run(tmp_path, trials=20, gpus=2)
    page = read(folder, verdict=verdict)
    best = read_run(folder.path).best
    assert best is not None
    assert all(f"{name} {value:g}" in page.text("card-which") for name, value in best.params.items())
    assert "4.3 % lower" in page.text("card-better")
    assert re.search(r"98\.5 % interval: -5\.\d % to -3\.\d %.*3 seeds: 2001, 2002, 2003", page.text("card-sure"))
    assert "1.42× 1.10× to 1.80× over 3 seeds" in page.text("card-faster")
    assert "no speed-up is shown" not in page.text("card-faster")
    assert re.search(r"GPU-(hours|minutes) .* Early stopping ended \d+ of 20 trials and saved", page.text("card-spent"))


def test_the_first_screen_shows_how_the_interval_narrowed_look_by_look(tmp_path: Path) -> None:
    finalist = {2001: 0.530, 2002: 0.529, 2003: 0.531, 2004: 0.519, 2005: 0.520}
    default = {**DEFAULT, 2004: 0.536, 2005: 0.537}
    verdict = judge(finalist, default)
    page = read(write_run(tmp_path), verdict=verdict)
    drawn = [str(attributes.get("class")) for name, attributes in page.elements if name == "circle"]
    assert len(verdict.sequence) == 3
    assert drawn.count("dot look") == 2
    assert drawn.count("dot best") == 1
    (picture,) = (one for name, one in page.elements if name == "svg" and one.get("class") == "interval-picture")
    named = str(picture["aria-label"]).translate(ISOLATES)
    assert "The interval after each look, by pairs of seeds: 3: -5.2 % … +3.5 %; 4: " in named
    assert "left of the line is better" in page.text("card-sure")


def test_a_speed_up_whose_interval_holds_1_is_not_claimed(tmp_path: Path) -> None:
    verdict = replace(confirmed(BETTER), speed_up=SpeedUpOverSeeds(1.42, 0.9, 2.1, 0.99, 3, 0))
    page = read(write_run(tmp_path, more_events=confirmation_events(BETTER, DEFAULT)), verdict=verdict)
    assert "1.42× 0.90× to 2.10× over 3 seeds The interval holds 1: no speed-up is shown" in page.text("card-faster")


def test_without_confirmation_nothing_is_claimed(tmp_path: Path) -> None:
    page = read(write_run(tmp_path, trials=20))
    assert "No fresh seed has confirmed it yet" in page.text("answer-title")
    assert "unconfirmed" in page.text("card-better")
    assert "one seed each" in page.text("card-better")
    assert "no claim" in page.text("card-faster")
    assert "run_sweep.py confirm toy" in page.text("card-next")


def test_a_default_that_nothing_beat_is_kept(tmp_path: Path) -> None:
    page = read(write_run(tmp_path, trials=1))
    assert "Keep the default" in page.text("answer-title")
    assert "The default is the best of the search." in page.text("card-better")


def test_an_interrupted_run_says_how_to_continue(tmp_path: Path) -> None:
    page = read(write_run(tmp_path, ended="interrupted"))
    assert "Ended early" in page.text("answer-title")
    assert f"run_sweep.py resume toy --output {tmp_path}" in page.text("card-next")


def test_only_a_running_page_reloads_itself(tmp_path: Path) -> None:
    running = write_run(tmp_path, ended=None, name="running")
    page = read(running)
    assert "Still running (10 of 12 trials ended)" in page.text("answer-title")
    assert any(attributes.get("http-equiv") == "refresh" for _, attributes in page.elements)
    ended = read(write_run(tmp_path, name="ended"))
    assert not any(attributes.get("http-equiv") == "refresh" for _, attributes in ended.elements)
    assert not any(attributes.get("id") == "live" for _, attributes in ended.elements)


def test_a_run_without_any_report_is_a_page(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    first = folder.trials_jsonl.read_text().splitlines(keepends=True)[:2]
    folder.trials_jsonl.write_text("".join(first))
    assert "no trial has a finite objective yet" in read(folder).text("answer-title")
    folder.trials_jsonl.write_text(first[0])
    assert "no trial has a finite objective yet" in read(folder).text("answer-title")


def test_where_the_default_is_kept_the_searchs_best_is_next_to_it(tmp_path: Path) -> None:
    undecided = {2001: 0.50, 2002: 0.56, 2003: 0.53}
    folder = write_run(tmp_path, more_events=confirmation_events(undecided, DEFAULT))
    data = RunData(read_run(folder.path))
    assert data.best is not None
    default = data.records[0]
    page = read(folder)
    assert f"keep search's best, {data.best.trial_id}" in page.text("card-which")
    for name, value in default.params.items():
        assert f"{name} {value:g} {data.best.params[name]:.4g}" in page.text("card-which")
    assert "The objective of t0002 is" in page.text("card-better")
