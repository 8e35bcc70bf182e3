"""What verdict.json and its sentence say."""

from __future__ import annotations

import json
import math

import pytest

from sweeps.confirm.plan import (
    TWO_LOOK_DESIGN,
)
from sweeps.confirm.verdict import judge
from sweeps.confirm.verdict_json import verdict_to_json
from sweeps.confirm.verdict_text import MeasuredDifference, disagreement_notes, rival_note, sentence
from tests.sweeps.confirm.paired_seeds import DEFAULT, SHARED, finalist


def test_a_verdict_without_numbers_is_plain_json_too() -> None:
    for verdict in (
        judge(finalist(0.03), DEFAULT),
        judge(finalist(0.01, wobble=6), DEFAULT),
        judge({**finalist(0.03), 2001: math.nan}, DEFAULT),
        judge({}, {}),
    ):
        stored = json.loads(json.dumps(verdict_to_json(verdict), allow_nan=False))
        assert (stored["verdict"], stored["sentence"]) == (verdict.word, sentence(verdict))
        assert [pair["seed"] for pair in stored["pairs"]] == [pair.seed for pair in verdict.pairs]


def test_the_difference_stands_in_the_file_in_per_cent_and_in_the_objectives_own_unit() -> None:
    stored = verdict_to_json(judge(finalist(0.03), DEFAULT))
    assert stored["verdict"] == "better"
    assert stored["default_objective"] == pytest.approx(math.prod(SHARED[:3]) ** (1 / 3))
    assert stored["difference"] == pytest.approx(stored["default_objective"] * stored["difference_percent"] / 100)
    assert stored["interval"][0] < stored["difference"] < stored["interval"][1] < 0
    assert verdict_to_json(judge({}, {}))["difference"] is None


def test_the_sentence_gives_difference_interval_seeds_power_and_scope_in_both_languages() -> None:
    verdict = judge(finalist(0.03, wobble=2), DEFAULT, design=TWO_LOOK_DESIGN)
    english, persian = sentence(verdict), sentence(verdict, "fa")
    for part in ("better: ", "lower", "96 % interval", "8 seeds", "it covers seeds, not other data"):
        assert part in english
    for part in ("بهتر", "کمتر", "بازهٔ 96 درصد", "8 بذر"):
        assert part in persian


def test_pairs_that_differ_by_rounding_alone_still_make_a_verdict_that_json_can_hold() -> None:
    verdict = judge({1: 0.7, 2: 0.7 + 1e-16, 3: 0.7}, {1: 0.8, 2: 0.8, 3: 0.8 + 1e-16})
    assert (verdict.word, verdict.power_observed) == ("better", 1.0)
    assert json.dumps(verdict_to_json(verdict), allow_nan=False)


def test_a_measure_that_points_the_other_way_is_named_and_one_that_agrees_is_not() -> None:
    verdict = judge(finalist(0.03), DEFAULT)
    agrees = MeasuredDifference("duration error", -4, -6, -2)
    unsure = MeasuredDifference("F0 error", 4, -1, 9)
    against = MeasuredDifference("mel cepstral distortion", 3, 1, 5)
    notes = disagreement_notes(verdict, [agrees, unsure, against])
    assert [
        ("mel cepstral distortion" in note.text(), "mel cepstral distortion" in note.text("fa")) for note in notes
    ] == [(True, True)]
    assert disagreement_notes(judge({}, {}), [against]) == ()


def test_a_rival_as_good_as_the_finalist_is_said_to_be_and_one_that_is_worse_is_not() -> None:
    as_good = rival_note("learned decoder scale", judge(finalist(0.0), DEFAULT))
    assert as_good is not None
    assert "as good as the finalist" in as_good.text()
    better = rival_note("learned decoder scale", judge(finalist(0.05), DEFAULT))
    assert better is not None
    assert "better than the finalist" in better.text()
    assert rival_note("learned decoder scale", judge(finalist(-0.05), DEFAULT)) is None
