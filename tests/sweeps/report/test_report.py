"""report.html: what it answers, what it holds, and what it never lets in."""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from sweeps.common.errors import RequestError
from sweeps.confirm.speed_up import SpeedUpOverSeeds
from sweeps.confirm.verdict import Verdict, judge
from sweeps.report import ExtraTable, FindingNote, LossBand, ReportExtras, Sample, SampleText, write_report
from sweeps.report.charts.svg import shape
from sweeps.report.coordinates import acting_axes, safe_region
from sweeps.report.cost import cost
from sweeps.report.data import RunData
from sweeps.report.importance import comparison, importances, rank_correlation
from sweeps.report.picture import png
from sweeps.report.text import Words, cell, marked, own, sentence
from sweeps.run.folder import RunFolder, read_sweep_yaml, write_sweep_yaml
from sweeps.run.resources import Machine, plan_resources
from sweeps.run.run import read_run
from sweeps.trials.record import Event, records_from_events
from tests.sweeps.builders import toy_request, trial, trial_events
from tests.sweeps.report.report_runs import RATIOS, confirmation_events, extras, judged, tone, write_run

DEFAULT = {2001: 0.535, 2002: 0.539, 2003: 0.531}
BETTER = {2001: 0.512, 2002: 0.515, 2003: 0.509}
ISOLATES = dict.fromkeys(map(ord, "\u2066\u2067\u2068\u2069"))
BLOCKS = {"p", "label", "th", "td", "dt", "dd", "li", "h2", "h3", "summary", "text"}
VOID = {"meta", "input", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """The page's elements, its text by the ids of the elements around it, and whether its tags match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.by_id: dict[str, str] = {}
        self.unmatched: list[str] = []
        self._open: list[tuple[str, str | None]] = []
        self.feed(text)
        self.unmatched += [name for name, _ in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append((tag, dict(attrs).get("id")))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            self.unmatched.append(f"/{tag}")
            return
        if tag in BLOCKS:
            self.handle_data(" ")
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for _, name in self._open:
            if name is not None:
                self.by_id[name] = self.by_id.get(name, "") + data

    def text(self, name: str) -> str:
        """The text inside the element of that id, its white space and direction marks left out."""
        return " ".join(self.by_id.get(name, "").translate(ISOLATES).split())

    def count(self, name: str) -> int:
        """How many elements of that name there are."""
        return sum(found == name for found, _ in self.elements)


def read(
    folder: RunFolder, given: ReportExtras | None = None, lang: str = "en", verdict: Verdict | None = None
) -> Page:
    run = read_run(folder.path) if verdict is None else judged(folder, verdict)
    write_report(run, given or ReportExtras(), lang)
    page = Page(folder.report.read_text(encoding="utf-8"))
    assert page.unmatched == []
    return page


def confirmed(finalist: dict[int, float]) -> Verdict:
    return judge(finalist, DEFAULT)


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


def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path) -> None:
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


def hostile(output: Path) -> tuple[RunFolder, ReportExtras]:
    """A run in which everything from outside wants to be markup."""
    evil = "</script></style><script>window.pwned=1</script><img src=x onerror='window.pwned=1'>\"'&\x00\u202e\ud800"
    folder = write_run(output, trials=6)
    content = read_sweep_yaml(folder)
    name = "mel_loss_weight"
    content |= {
        "data": evil,
        "git_commit": evil,
        "versions": {evil: evil},
        "data_summary": {evil: [evil]},
        "command": evil,
    }
    write_sweep_yaml(folder, json.loads(json.dumps(content)))
    lines = [json.loads(line) for line in folder.trials_jsonl.read_text().splitlines()]
    lines[-1] |= {"reason": "failed", "detail": evil}
    for event in lines:
        if event["event"] == "trial_started":
            event["label"] = evil
            event["params"] |= {evil: evil, "gradient_clip_norm": evil}
        if event["event"] == "trial_ended":
            event["stop_reason"] = evil
    started = {"event": "trial_started", "trial_id": evil, "time": 1.0, "role": evil, "seed": 1, "params": {name: 2.0}}
    reports: list[Event] = [
        {
            "event": "report",
            "trial_id": evil,
            "time": 1.0,
            "epoch": epoch,
            "objective": 0.5,
            "loss": 1.0,
            "updates": evil,
        }
        for epoch in (1, 2, 3)
    ]
    ended = {"event": "trial_ended", "trial_id": evil, "time": 2.0, "status": evil, "stop_reason": evil}
    written = [*lines[:-1], started, *reports, ended, lines[-1]]
    folder.trials_jsonl.write_text("".join(json.dumps(event) + "\n" for event in written), encoding="utf-8")
    given = extras()
    return folder, replace(
        given,
        objective=evil,
        findings=(FindingNote("problem", evil, f"`{evil}`", (evil,)),),
        health={evil: evil},
        health_notes=(replace(given.health_notes[0], what=evil, files=(evil,) * 9),),
        samples=(replace(given.samples[0], text=evil),),
        loss_bands=(replace(given.loss_bands[0], name=evil),),
        tables=(replace(given.tables[0], title=evil, head=(evil, evil), rows=((evil, evil),), note=evil),),
        coordinates=(*RATIOS, replace(RATIOS[0], name=evil)),
    )


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


def test_early_stopping_saves_what_the_stopped_trials_had_left() -> None:
    events: list[Event] = []
    for trial_id, epochs, status in (("t0001", 9, "finished"), ("t0002", 3, "stopped"), ("t0003", 1, "diverged")):
        events.append({"event": "trial_started", "trial_id": trial_id, "time": 0.0, "params": {}})
        for epoch in range(1, epochs + 1):
            report: Event = {"event": "report", "trial_id": trial_id, "epoch": epoch, "objective": 0.5}
            events.append({**report, "seconds": 600.0 * epoch, "time": 700.0 * epoch})
        events.append({"event": "trial_ended", "trial_id": trial_id, "time": 1.0, "status": status})
    plan = plan_resources(Machine(8, 1 << 34, 1), 3, gpus_per_trial=0.5)
    found = cost(records_from_events(events), plan, epochs=9, wall_seconds=4000.0)
    assert found.device == "gpu"
    assert found.device_hours == pytest.approx(0.5 * (9 + 3 + 1) * 600 / 3600)
    assert found.saved_hours == pytest.approx(0.5 * 6 * 600 / 3600)
    assert found.saved_share == pytest.approx(6 / 19)


def test_importance_finds_an_optimum_inside_the_range_and_tells_noise_from_it() -> None:
    rng = np.random.default_rng(3)
    records = []
    for number in range(1, 61):
        mel, kl, clip = np.exp(rng.uniform(np.log([1, 0.5, 0.3]), np.log([5, 2, 1])))
        params = {"mel_loss_weight": mel, "kl_loss_weight": kl, "gradient_clip_norm": clip}
        value = 0.5 + 0.1 * math.log(mel / kl / 2.2) ** 2 + 0.002 * rng.normal()
        records.append(trial(number, [0.9, value], params=params))
    request = toy_request(Path())
    axes = acting_axes(request, RATIOS)
    found = {one.name: one for one in importances({r.trial_id: r.params for r in records}, axes, comparison(records))}
    assert found["mel/kl"].share > 0.8
    assert found["mel/kl"].low > found["mel/kl"].chance
    assert found["clip/mel"].high < 0.5
    assert all(one.low <= one.share <= one.high for one in found.values())


def test_what_explains_nothing_seldom_passes_for_more_than_chance() -> None:
    rng = np.random.default_rng(4)
    records = [trial(number, [0.9, rng.normal()]) for number in range(1, 31)]
    (axis, *_) = acting_axes(toy_request(Path()), RATIOS)
    useless = [replace(axis, name=f"u{n}", top=f"u{n}", bottom=None) for n in range(60)]
    configs = {record.trial_id: {one.name: rng.normal() for one in useless} for record in records}
    found = importances(configs, useless, comparison(records))
    assert len(found) == 60
    assert sum(one.clear for one in found) <= 7  # 3 are expected


def test_importance_of_words_is_measured_too() -> None:
    words = ("a", "b", "c")
    records = [trial(n, [0.5 + 0.1 * (n % 3) + 0.001 * n], params={"kind": words[n % 3]}) for n in range(1, 25)]
    axis = replace(acting_axes(toy_request(Path()), RATIOS)[0], name="kind", top="kind", bottom=None, formula="")
    (found,) = importances({record.trial_id: record.params for record in records}, [axis], comparison(records))
    assert found.share > 0.8


def test_few_trials_get_no_importance_and_are_told_why(tmp_path: Path) -> None:
    page = read(write_run(tmp_path, trials=9))
    assert "Too few trials can be compared (9; 10 are needed)" in page.text("panel-matters")


def test_trials_are_compared_at_the_last_epoch_that_four_in_five_reached() -> None:
    records = [trial(n, [0.9, 0.8, 0.7] if n <= 8 else [0.9]) for n in range(1, 11)]
    found = comparison(records)
    assert found is not None
    assert (found.epoch, len(found.costs)) == (3, 8)
    fewer = comparison([*records, trial(11, [0.9])])
    assert fewer is not None
    assert (fewer.epoch, len(fewer.costs)) == (1, 11)


def test_a_rank_correlation_needs_three_pairs_and_some_spread() -> None:
    assert rank_correlation([1, 2], [1, 2]) is None
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None
    assert rank_correlation([1, 5, 9, 100], [4, 3, 2, -7]) == pytest.approx(-1)


def test_the_safe_region_is_all_that_the_limits_allow_and_nothing_else() -> None:
    request = toy_request(Path())
    x, y = acting_axes(request, RATIOS)
    corners = safe_region(request.limits, x, y)
    expected = {(0.5, 1.0), (0.5, 0.3), (2.5, 0.06), (10.0, 0.06), (10.0, 0.2), (2.0, 1.0)}
    assert {(round(a, 6), round(b, 6)) for a, b in corners} == expected
    assert (x.safe, y.safe) == ((0.5, 10.0), (0.06, 1.0))


def test_ratios_are_drawn_only_where_the_trials_have_their_parameters(tmp_path: Path) -> None:
    assert acting_axes(toy_request(tmp_path), ()) == ()
    assert [axis.name for axis in acting_axes(toy_request(tmp_path, "balance"), ())] == ["mel_over_kl", "clip_over_mel"]
    unknown = replace(RATIOS[0], numerator="nothing")
    assert acting_axes(toy_request(tmp_path), [unknown]) == ()


def test_a_picture_is_a_png_with_low_bands_at_the_bottom() -> None:
    values = np.zeros((3, 2), dtype=np.float32)
    values[2, 1] = 1.0  # last in time, high band: the upper right corner
    values[0, 0] = np.nan
    content = png(values)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind], at = body, at + 12 + length
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (3, 2, 8, 3, 0, 0, 0)
    assert len(chunks[b"PLTE"]) == 3 * 256
    rows = zlib.decompress(chunks[b"IDAT"])
    assert rows == bytes([0, 0, 0, 255, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="expected"):
        png(np.zeros(4, dtype=np.float32))


def test_the_command_and_the_fingerprint_to_repeat_it_are_there(tmp_path: Path) -> None:
    command = "python run_sweep.py --space safe_weights --seed 1"
    folder = write_run(tmp_path, data_summary={"fingerprint": "0f3e", "clips": 520}, command=command)
    page = read(folder)
    for known in (command, "fingerprint 0f3e", "clips 520", "numpy", "git commit"):
        assert known in page.text("repeat")


def test_another_file_can_be_written_next_to_the_runs_own(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    written = write_report(read_run(folder.path), lang="fa", path=tmp_path / "fa.html")
    assert written == tmp_path / "fa.html"
    assert not folder.report.exists()


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


def test_a_run_without_confirmation_has_neither_pairs_nor_rivals(tmp_path: Path) -> None:
    page = read(write_run(tmp_path))
    assert not page.text("confirmation")
    assert not page.text("rivals")


def test_rivals_stand_beside_default_and_best_and_over_their_seeds(tmp_path: Path) -> None:
    page = read(write_run(tmp_path, more_events=confirmation_events(BETTER, DEFAULT)))
    assert re.search(r"GradNorm r0001 0\.5300 [+-]\d+\.\d % finished 0\.5360 2001, 2002, 2003", page.text("rivals"))
    assert re.search(r"AutoClip r0002 0\.5200 [+-]\d+\.\d % finished", page.text("rivals"))
    assert re.search(r"default t0001 0\.\d+ \+0\.0 % finished 0\.5350 2001, 2002, 2003", page.text("rivals"))
    assert "best of the search" in page.text("rivals")


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


def test_a_table_that_is_folded_is_one_that_a_click_opens(tmp_path: Path) -> None:
    table = ExtraTable("Signs", ("trial", "sign"), (("t0001", "yes"),), "What they mean.", folded=True)
    page = read(write_run(tmp_path), ReportExtras(tables=(table,), loss_bands=(LossBand("early", 15, 30, 0, 0.25),)))
    assert "Signs Signs trial sign t0001 yes What they mean." in page.text("learning")
    assert "range the story promises" in page.text("loss-by-epoch")
