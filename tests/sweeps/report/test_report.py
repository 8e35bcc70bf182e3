"""report.html: what it holds, and what it never lets in."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweeps.common.errors import RequestError
from sweeps.report import ReportExtras, Sample, SampleText, write_report
from sweeps.report.charts.svg import shape
from sweeps.report.data import RunData
from sweeps.report.text import Words, cell, marked, own, sentence
from sweeps.run.folder import RunFolder
from sweeps.run.run import read_run
from sweeps.trials.event import Event
from tests.sweeps.builders import trial_events
from tests.sweeps.report.pages import BETTER, DEFAULT, confirmed, hostile, read
from tests.sweeps.report.report_runs import confirmation_events, extras, tone, write_run


def test_controls_are_shown_but_never_recommended(tmp_path: Path) -> None:
    page = read(write_run(tmp_path, space="before_after", trials=12))
    assert "Controls only (12)" in page.text("answer-title")
    assert page.text("card-which") == "Which config? None: a control is never recommended."
    assert "old, mel 45" in page.text("objective-by-epoch")
    assert "t0002 old, mel 45" in page.text("convergence")
    assert "At epoch 9 it would have chosen" in page.text("loss-by-epoch-caption")
    assert "panel-matters" not in page.by_id


def test_every_trial_is_in_both_charts_with_how_it_ended(tmp_path: Path) -> None:
    folder = write_run(tmp_path, trials=40)
    page = read(folder)
    records = RunData(read_run(folder.path)).records
    drawn = Counter(
        attributes["data-trial"] for name, attributes in page.elements if name == "g" and "data-trial" in attributes
    )
    assert set(drawn) == {record.trial_id for record in records}
    assert min(drawn.values()) >= 2
    marks = Counter(
        str(attributes["class"]).split()[1]
        for name, attributes in page.elements
        if name in ("path", "circle") and str(attributes.get("class")).startswith("end ")
    )
    ended = Counter(str(record.status) for record in records)
    assert ended["diverged"] > 0
    for status, count in ended.items():
        assert marks[status] >= 2 * count
    assert "mel is nan at step 7" in folder.report.read_text()


def test_the_tables_under_the_charts_hold_the_same_numbers(tmp_path: Path) -> None:
    folder = write_run(tmp_path, trials=5)
    page = read(folder)
    for record in RunData(read_run(folder.path)).records:
        shown = [f"{report['objective']:.4g}" for report in record.reports]
        assert f"{record.trial_id} {' '.join(shown)}" in page.text("objective-by-epoch")


def test_the_loss_chart_names_the_trial_that_the_loss_would_have_chosen(tmp_path: Path) -> None:
    folder = write_run(tmp_path, trials=20)
    data = RunData(read_run(folder.path))
    assert data.comparison is not None
    at = {record.trial_id: record.reports[2]["loss"] for record in data.records if record.epochs >= 3}
    chosen = min(at, key=lambda trial_id: float(str(at[trial_id])))
    order = sorted(data.comparison.costs, key=lambda trial_id: data.comparison.costs[trial_id])
    said = f"At epoch 3 it would have chosen {chosen}, which the objective ranks {order.index(chosen) + 1} of 19."
    assert said in read(folder).text("loss-by-epoch-caption")


def test_the_page_is_one_file_that_asks_nothing_of_the_network(tmp_path: Path) -> None:
    folder = write_run(tmp_path, trials=20)
    page = read(folder, extras())
    assert page.count("link") == page.count("iframe") == page.count("object") == 0
    for _, attributes in page.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:")), (name, target[:40])
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none';")
    assert "unsafe" not in str(policy)
    text = folder.report.read_text()
    assert "@import" not in text
    assert "url(http" not in text


def test_a_hundred_trials_with_samples_stay_under_six_megabytes(tmp_path: Path) -> None:
    folder = write_run(tmp_path, trials=100, epochs=27)
    long = tone(9.0)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(800, 80)).astype(np.float32)  # the worst case for compression
    voices = ("real", "default", "best")
    texts_spoken = tuple(
        SampleText(f"Sentence {n}", tuple(Sample(who, long, noise) for who in voices))
        for n in range(20)  # type: ignore[arg-type]
    )
    page = read(folder, replace(extras(), samples=texts_spoken))
    assert folder.report.stat().st_size < 6_000_000
    assert 0 < page.count("audio") < 60
    assert f"{60 - page.count('audio')} more samples would have made this page too large" in page.text("listening")


@pytest.mark.parametrize("lang", ["en", "fa"])
def test_whatever_comes_from_outside_stays_text(tmp_path: Path, lang: str) -> None:
    folder, given = hostile(tmp_path)
    page = read(folder, given, lang)
    assert page.count("script") == page.count("style") == 1
    assert not [name for name, attributes in page.elements for key in attributes if key.startswith("on")]
    assert page.count("img") == 3
    assert "window.pwned=1" in page.text("trials")
    text = folder.report.read_text(encoding="utf-8")
    assert "\x00" not in text


def test_plain_text_in_a_chart_is_escaped_and_shapes_are_not() -> None:
    drawn = shape("g", "<b>", shape("path"), [1, None, 2.5], title='"&', hidden=True, x=None)
    assert drawn == '<g title="&#34;&amp;" hidden>&lt;b&gt;<path></path>12.5</g>'


def test_texts_from_outside_are_escaped_in_every_kind_of_markup() -> None:
    for made in (marked, sentence, own, cell):
        assert "<i" not in str(made("<i>`<i>`"))


def test_a_folder_without_a_run_and_an_unknown_language_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"sweep\.yaml"):
        write_report(read_run(RunFolder(tmp_path).path))
    with pytest.raises(RequestError, match="--lang 'de': expected en or fa"):
        write_report(read_run(write_run(tmp_path).path), lang="de")


def test_the_persian_page_is_right_to_left_and_holds_no_english_sentence(tmp_path: Path) -> None:
    page = read(write_run(tmp_path, trials=20), ReportExtras(), "fa", verdict=confirmed(BETTER))
    root = page.elements[0][1]
    assert (root["lang"], root["dir"]) == ("fa", "rtl")
    assert "این پیکربندی را بردارید" in page.text("answer-title")
    assert "تا 90 درصد" in page.text("convergence")
    for section in ("card-better", "card-sure", "card-faster", "learning"):
        assert not re.search(r"\b(the|than|default|trial|epoch)\b", page.text(section)), section


def test_numbers_in_a_persian_sentence_keep_their_own_direction() -> None:
    said = Words("fa")("interval", level="99", low="-5.2", high="+1.0")
    assert "\u2066-5.2\u2069" in said
    assert Words("en")("interval", level="99", low="-5.2", high="+1.0").isascii()


def test_a_sentence_runs_in_the_direction_of_its_language_whatever_word_it_begins_with() -> None:
    assert str(sentence("val/next و تابع هدف یکسان مرتب نمی‌کنند")).startswith('<bdi dir="rtl">')
    assert str(sentence("The clip سلام was left out.")).startswith('<bdi dir="ltr">')
    assert str(sentence("Train longer (--epochs).")) == (
        '<bdi dir="ltr">Train longer (<code dir="ltr">--epochs</code>).</bdi>'
    )
    assert "<code" not in str(sentence("so-called, a--b"))


def test_the_command_and_the_fingerprint_to_repeat_it_are_there(tmp_path: Path) -> None:
    command = "python run_sweep.py --space safe_weights --seed 1"
    folder = write_run(tmp_path, data_summary={"fingerprint": "0f3e", "clips": 520}, command=command)
    page = read(folder)
    for known in (command, "fingerprint 0f3e", "clips 520", "numpy", "git commit"):
        assert known in page.text("repeat")


def test_confirmation_runs_are_drawn_and_paid_for_but_never_ranked(tmp_path: Path) -> None:
    events: list[Event] = []
    for number, role in ((901, "confirm"), (902, "rival")):
        events += [{**event, "seconds": 3600.0} for event in trial_events(number, [0.4, 0.3], role=role, origin=role)]
    folder = write_run(tmp_path, more_events=events)
    data, page = RunData(read_run(folder.path)), read(folder)
    assert {"t0901", "t0902"}.isdisjoint(data.ranks)
    assert "t0901" not in page.text("convergence")
    assert "confirmation seeds" in page.text("objective-by-epoch")
    assert "search confirmation baseline" in page.text("filters")
    assert data.cost.trial_seconds > 7200
    drawn = {attributes.get("data-trial") for name, attributes in page.elements if name == "g"}
    assert {"t0901", "t0902"} <= drawn


def test_the_pairs_of_a_confirmation_are_shown_seed_by_seed(tmp_path: Path) -> None:
    folder = write_run(tmp_path, more_events=confirmation_events(BETTER, DEFAULT))
    page = read(folder)
    assert "2001 0.5350 0.5120 -4.3 % 2002 0.5390 0.5150 -4.5 % 2003 0.5310 0.5090 -4.1 %" in page.text("pairs")
    assert "finalist t0002" in page.text("pairs")
    assert "c0001 candidate t0002 1002 0.5100 finished" in page.text("confirmation")
    text = folder.report.read_text()
    assert "12 of 12 trials ended" in text
    assert "7 confirmation runs" in text
    assert "5 runs of baselines" in text
    seeds = [attributes for name, attributes in page.elements if name == "circle" and attributes.get("class") == "seed"]
    assert len(seeds) == 3


def test_the_finalist_is_marked_where_it_is_neither_the_lowest_nor_the_default(tmp_path: Path) -> None:
    folder = write_run(tmp_path, more_events=confirmation_events(BETTER, DEFAULT))
    data, page = RunData(read_run(folder.path)), read(folder)
    assert data.best is not None
    assert data.best.trial_id != "t0002"
    assert "t0002 finalist of the confirmation, taken" in page.text("trials-table")
    assert f"{data.best.trial_id} best of the search" in page.text("trials-table")
    assert "finalist of the confirmation" in page.text("objective-by-epoch")
    assert "finalist of the confirmation" in page.text("panel-parameters")
    assert "finalist of the confirmation t0002" in page.text("rivals")
    rows = {one["data-trial"]: str(one["class"]) for name, one in page.elements if name == "tr" and "data-trial" in one}
    assert rows["t0002"] == "trial finalist"
    assert rows[data.best.trial_id] == "trial best"
    alone = read(write_run(tmp_path / "alone"))
    assert "finalist" not in alone.text("trials-table")
    assert "taken" not in alone.text("trials-table")


def test_the_default_is_marked_as_taken_where_the_finalist_is_no_better(tmp_path: Path) -> None:
    same = confirmation_events(DEFAULT, DEFAULT)
    table = read(write_run(tmp_path, more_events=same)).text("trials-table")
    assert "t0001 default, taken" in table
    assert "t0002 finalist of the confirmation " in table


def test_a_run_without_confirmation_has_neither_pairs_nor_rivals(tmp_path: Path) -> None:
    page = read(write_run(tmp_path))
    assert not page.text("confirmation")
    assert not page.text("rivals")


def test_rivals_stand_next_to_default_and_best_and_over_their_seeds(tmp_path: Path) -> None:
    page = read(write_run(tmp_path, more_events=confirmation_events(BETTER, DEFAULT)))
    assert re.search(r"GradNorm r0001 0\.5300 [+-]\d+\.\d % finished 0\.5360 2001, 2002, 2003", page.text("rivals"))
    assert re.search(r"AutoClip r0002 0\.5200 [+-]\d+\.\d % finished", page.text("rivals"))
    assert re.search(r"default t0001 0\.\d+ \+0\.0 % finished 0\.5350 2001, 2002, 2003", page.text("rivals"))
    assert "finalist of the confirmation t0002" in page.text("rivals")
