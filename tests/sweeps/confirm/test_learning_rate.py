"""How much of a gain is learning rate: the default gets the same search, and what was not tuned is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeps.confirm.comparison import Comparison, comparison_of
from sweeps.confirm.confirmation import Confirmation, confirmation_of
from sweeps.confirm.explain.learning_rate import SharedRate
from sweeps.confirm.plan import Assignment, Design
from sweeps.confirm.verdict_text import sentence
from sweeps.run.folder import RunFolder
from sweeps.run.run import Run
from sweeps.trials.record import TrialRecord
from sweeps.tuner.api import plan_for
from tests.sweeps.builders import toy_request
from tests.sweeps.confirm.confirmations import SPLIT, ended, searched
from xtts_sweep.integration.findings import sweep_findings

OWN, FINALISTS = 1e-3, 2.5e-3
LIMITS = (1e-5, 3e-3)


def with_rates() -> list[TrialRecord]:
    """A search that varied the learning rate; t0002 becomes the finalist."""
    records = searched()
    rates = [OWN, FINALISTS, *[1.5e-3] * 4]
    return [
        replace(record, params={**record.params, "learning_rate": rate})
        for record, rate in zip(records, rates, strict=True)
    ]


def planned(records: list[TrialRecord], shared: object = None, explain: bool = False) -> Confirmation:
    rate = SharedRate(shared, *LIMITS)
    found = confirmation_of(records, 1, 10, Design(), judged_params=SPLIT, explain=explain, rate=rate)
    assert found is not None
    return found


def carried_out(
    confirmation: Confirmation, records: list[TrialRecord], end_of: Callable[[Assignment], float], most: int = 99
) -> list[TrialRecord]:
    """The records after its runs, one after the other, as long as one is due."""
    records = list(records)
    while (due := confirmation.due(records)) and most:
        run, most = due[0], most - 1
        end = end_of(run) + run.seed % 7 / 1000
        records.append(replace(ended(run, [1.0, end, end, end]), role=run.role, trial_id=f"x{len(records)}"))
    return records


def by_rate(ends: Mapping[float, float], finalist: float) -> Callable[[Assignment], float]:
    """The default's end by its learning rate; the finalist's own."""

    def end_of(run: Assignment) -> float:
        if run.label.startswith("candidate"):
            return 0.5 if run.label == "candidate t0002" else 0.6
        if run.label.startswith(("finalist", "without")):
            return finalist
        return ends[float(str(run.params.get("learning_rate", OWN)))]

    return end_of


def compared(records: list[TrialRecord]) -> Comparison:
    found = comparison_of(records)
    assert found is not None
    assert found.rates is not None
    return found


ENDS = {0.5e-3: 0.85, OWN: 0.8, 2e-3: 0.76, FINALISTS: 0.78}


def test_the_default_is_tried_at_other_rates_and_the_best_of_them_meets_the_finalist_on_the_judged_seeds() -> None:
    confirmation = planned(with_rates())
    records = carried_out(confirmation, with_rates(), by_rate(ENDS, 0.7))
    probe = [record for record in records if record.origin == "probe"]
    assert sorted(float(str(run.params["learning_rate"])) for run in probe) == sorted(ENDS)
    assert {run.seed for run in probe} == set(confirmation.plan.selection_seeds)
    assert all("evaluate_on" not in run.params for run in probe), "the test split chooses nothing"
    tuned = [record for record in records if record.label == "default with a tuned learning rate"]
    judged = compared(records)
    assert [run.seed for run in tuned] == [pair.seed for pair in judged.verdict.judged]
    assert {(run.params["learning_rate"], run.params["evaluate_on"]) for run in tuned} == {(2e-3, "test")}
    assert {run.params["mel_loss_weight"] for run in tuned} == {records[0].params["mel_loss_weight"]}
    assert not confirmation.has_more(records)
    assert confirmation.runs(records) == len(records) - len(searched())
    assert judged.rivals == ()

    stored: Any = judged.to_json()["learning_rate"]
    assert (stored["searched"], stored["default"], stored["best_for_default"]) == (True, OWN, 2e-3)
    assert stored["finalist_against_tuned_default"]["verdict"] == "better"
    assert 30 < stored["share_of_gain_percent"] < 45
    assert judged.verdict.word == "better"
    assert "% of the gain is learning rate" in sentence(judged.verdict)
    assert "0.002" in sentence(judged.verdict, "fa")


def test_a_finalist_that_is_not_better_than_the_default_at_its_best_rate_has_only_the_rate_to_thank() -> None:
    records = carried_out(planned(with_rates()), with_rates(), by_rate({**ENDS, 2e-3: 0.7}, 0.7))
    judged = compared(records)
    assert judged.verdict.word == "better", "the word is that of the pairs, as before"
    assert judged.rates is not None
    assert judged.rates.share_percent(judged.verdict) == pytest.approx(100)
    assert "The gain is learning rate" in sentence(judged.verdict)


def test_where_a_finalist_is_not_clearly_better_than_the_tuned_default_the_rest_of_the_gain_is_open() -> None:
    steady = by_rate({**ENDS, 2e-3: 0.75}, 0.7)

    def end_of(run: Assignment) -> float:
        tuned = run.label.startswith("default with a tuned")
        return steady(run) + 0.2 * tuned * (-1) ** run.seed

    judged = compared(carried_out(planned(with_rates()), with_rates(), end_of))
    assert judged.rates is not None
    assert judged.rates.left is not None
    assert judged.rates.left.word == "undecided"
    said = sentence(judged.verdict)
    assert "The gain is learning rate" not in said
    assert "Whether the finalist is better than that is open after" in said
    assert "% of the gain is learning rate" in said


def test_where_the_defaults_own_rate_is_its_best_nothing_more_is_run() -> None:
    records = carried_out(planned(with_rates()), with_rates(), by_rate({**ENDS, OWN: 0.75}, 0.7))
    assert not [record for record in records if record.label == "default with a tuned learning rate"]
    judged = compared(records)
    assert judged.to_json()["learning_rate"]["share_of_gain_percent"] == 0.0  # type: ignore[index]
    assert "None of the gain is learning rate" in sentence(judged.verdict)
    assert "of the rates 0.0005, 0.001, 0.002, 0.0025" in sentence(judged.verdict)


def test_a_finalist_that_is_not_better_has_no_gain_to_divide() -> None:
    records = carried_out(planned(with_rates()), with_rates(), by_rate(ENDS, 0.9))
    assert not [record for record in records if record.origin == "probe"]
    found = comparison_of(records)
    assert found is not None
    assert found.verdict.word == "worse"
    assert found.to_json()["learning_rate"] is None


def test_while_a_rate_is_still_tried_the_confirmation_waits_for_it() -> None:
    confirmation = planned(with_rates())
    records = carried_out(confirmation, with_rates(), by_rate(ENDS, 0.7))
    probes = [place for place, record in enumerate(records) if record.origin == "probe"]
    until = records[: probes[-1] + 1]
    until[-1] = replace(until[-1], status=None)
    assert confirmation.due(until) == []
    assert confirmation.has_more(until)
    assert confirmation.runs(until) == confirmation.runs(records)
    found = comparison_of(until)
    assert found is not None
    assert found.rates is None
    again = carried_out(confirmation, records[: probes[1]], by_rate(ENDS, 0.7))
    assert [(run.label, run.seed) for run in again] == [(run.label, run.seed) for run in records]


def test_rates_stay_inside_their_limits_and_an_unknown_one_is_not_tried() -> None:
    tried = SharedRate(2e-3, *LIMITS).probe({}, {})
    assert sorted(tried.values()) == [1e-3, 2e-3, 3e-3]
    assert SharedRate(None).probe({}, {}) == {}
    assert SharedRate("fast").probe({}, {}) == {}


def test_a_rate_that_was_not_searched_is_tried_only_where_the_answer_is_to_be_explained() -> None:
    ends = {1e-3: 0.8, 0.5e-3: 0.85, 2e-3: 0.77}
    plain = carried_out(planned(searched(), OWN), searched(), by_rate(ends, 0.79))
    assert not [record for record in plain if record.origin == "probe"]
    explained = carried_out(planned(searched(), OWN, explain=True), searched(), by_rate(ends, 0.79))
    assert [run.params["learning_rate"] for run in explained if run.origin == "probe"] == [1e-3, 0.5e-3, 2e-3]
    judged = compared(explained)
    stored: Any = judged.to_json()["learning_rate"]
    assert stored["searched"] is False
    assert stored["share_of_gain_percent"] is None
    assert stored["effect_percent"] == pytest.approx(3.75, abs=0.05)
    assert stored["matters_more_than_gain"] is True


@pytest.mark.parametrize(("finalist", "named"), [(0.79, True), (0.7, False), (0.9, True)])
def test_a_finding_names_a_rate_that_matters_more_than_the_gain(tmp_path: Path, finalist: float, named: bool) -> None:
    """Gains of 1.2 and 12.5 % and none, against 3.75 % for the default at twice its rate."""
    ends = {1e-3: 0.8, 0.5e-3: 0.85, 2e-3: 0.77}
    records = carried_out(planned(searched(), OWN, explain=True), searched(), by_rate(ends, finalist))
    config = toy_request(tmp_path)
    run = Run(RunFolder(tmp_path), config, plan_for(config), (), tuple(records), {})
    found = {finding.code: finding for finding in sweep_findings(run)}
    assert ("learning_rate_not_tuned" in found) == named
    if named:
        assert "matters more (3.7%) than the gain found" in found["learning_rate_not_tuned"].text
        assert "learning_rate=0.002" in found["learning_rate_not_tuned"].todo
        assert "0.002" in found["learning_rate_not_tuned"].sentence("fa")
