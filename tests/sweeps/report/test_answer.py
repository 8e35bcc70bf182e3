"""The first screen of report.html: which config, is it better, how sure, how much faster, and what to do next."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.confirm.comparison import BreakEven
from sweeps.confirm.speed_up import SpeedUpOverSeeds
from sweeps.confirm.verdict import judge
from sweeps.confirm.verdict_text import sentence
from sweeps.report import ReportExtras, write_report
from sweeps.report.data import RunData
from sweeps.run.run import read_run
from sweeps.trials.event import Event
from tests.sweeps.report.pages import BETTER, DEFAULT, ISOLATES, Page, confirmed, read
from tests.sweeps.report.report_runs import confirmation_events, judged, write_run


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


@pytest.mark.parametrize(
    ("lang", "pays", "reached"), [("en", "after 12 full", "in 3 of 3"), ("fa", "پس از 12", "3 بذر از 3")]
)
def test_the_first_screen_says_when_the_sweep_has_paid_and_in_how_many_seeds_the_target_was_reached(
    tmp_path: Path, lang: str, pays: str, reached: str
) -> None:
    speed = SpeedUpOverSeeds(1.42, 1.1, 1.8, 0.95, 3, 0, reached=3, default_reached=2)
    folder = write_run(tmp_path)
    run = judged(folder, replace(confirmed(BETTER), speed_up=speed))
    assert run.comparison is not None
    run.__dict__["comparison"] = replace(run.comparison, break_even=BreakEven(3600.0, 300.0, 12))
    write_report(run, ReportExtras(), lang)
    page = Page(folder.report.read_text(encoding="utf-8"))
    assert pays in page.text("card-spent")
    assert reached in page.text("card-faster")
    assert "2" in page.text("card-faster").split(reached)[1]


def test_a_break_even_of_a_real_confirmation_is_in_the_verdict_its_sentence_and_the_report(tmp_path: Path) -> None:
    """The finalist is faster in all three seeds, by more than the interval's grid."""
    folder = write_run(tmp_path, more_events=fast_confirmation_events())
    compared = read_run(folder.path).comparison
    assert compared is not None
    assert compared.verdict.word == "better"
    assert compared.break_even is not None
    assert compared.to_json()["break_even"]["trainings"] == compared.break_even.trainings  # type: ignore[index]
    assert f"after {compared.break_even.trainings} full trainings" in sentence(compared.verdict)
    assert "both reach it in 3 of 3 seeds" in sentence(compared.verdict)
    write_report(read_run(folder.path), ReportExtras(), "en")
    text = folder.report.read_text(encoding="utf-8")
    assert f"pay after {compared.break_even.trainings} full trainings" in text
    assert f"paid for itself after {compared.break_even.trainings} full trainings" in text
    assert "both reach it in 3 of 3 seeds" in text


def fast_confirmation_events() -> list[Event]:
    """A confirmation whose finalist is where the default ends after a third of its updates."""
    events = []
    for event in confirmation_events(BETTER, DEFAULT):
        if event["event"] == "trial_ended":
            event = {**event, "epoch": 9}
        elif event["event"] == "report":
            if event["epoch"] > 1:
                continue
            trial_id = event["trial_id"]
            label = next(e["label"] for e in events if e["event"] == "trial_started" and e["trial_id"] == trial_id)
            seed = next(e["seed"] for e in events if e["event"] == "trial_started" and e["trial_id"] == trial_id)
            fast = str(label).startswith("finalist")
            end, rate = (BETTER if fast else DEFAULT).get(seed, 0.53), 1.2 if fast else 0.4
            for epoch in range(1, 10):
                value = end + 0.3 * math.exp(-rate * epoch)
                report = {**event, "epoch": epoch, "objective": value, "mean_frame_error": 0.9}
                events.append({**report, "updates": 58 * epoch, "seconds": 20.0 * epoch})
            continue
        events.append(event)
    return events


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
