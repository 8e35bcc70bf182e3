"""Sweeps of the toy trainer that are confirmed, on a real Ray."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeps.backend.session import ray_session
from sweeps.common.errors import RequestError
from sweeps.run.progress import Display, Progress
from sweeps.run.resources import Machine, plan_resources
from sweeps.run.summary import closing_lines, exportable, result_as_dict
from sweeps.trials.journal import read_events
from sweeps.trials.record import TrialRecord
from sweeps.tuner.api import SweepResult, confirm, read_run, resume, run
from tests.sweeps.builders import toy_request
from tests.toy_trainer import ToyTrainer

pytestmark = pytest.mark.slow

SPLIT_TOY = "tests.split_toy_trainer:SplitToyTrainer"
EPOCHS = 4


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    """One Ray for all sweeps of this file; each run uses the one it finds."""
    with ray_session(plan_resources(Machine(2, 1 << 34, 0), 2)):
        yield


def request(output: Path, **changes: Any) -> Any:
    return toy_request(output, **({"trainer": SPLIT_TOY, "trials": 4, "epochs": EPOCHS} | changes))


def confirm_runs(result: SweepResult, origin: str) -> list[TrialRecord]:
    return [record for record in result.records if record.role == "confirm" and record.origin == origin]


def outcome(record: TrialRecord) -> tuple[Any, ...]:
    curve = [(report["epoch"], report["objective"]) for report in record.reports]
    return record.trial_id, record.label, record.seed, dict(record.params), record.status, curve


class Interrupter(Display):
    """Presses Ctrl-C once, when so many runs of a role were begun and the newest has reported twice."""

    def __init__(self, runs: int, role: str = "confirm") -> None:
        self.runs = runs
        self.role = role

    def update(self, progress: Progress) -> None:
        begun = [record for record in progress.records if record.role == self.role]
        if len(begun) == self.runs and begun[-1].epochs == 2:
            self.runs = -1
            os.kill(os.getpid(), signal.SIGINT)


def test_a_config_that_is_better_over_fresh_seeds_becomes_the_proven_one(tmp_path: Path) -> None:
    result = run(request(tmp_path, confirm_seeds=3, set_params={"best_mel": 1.0}))
    assert result.verdict is not None
    assert result.comparison is not None
    assert result.verdict.word == "better"

    selection, judged = confirm_runs(result, "selection"), confirm_runs(result, "confirmation")
    assert len(selection) == 3
    sides = {
        side: [record for record in judged if (record.label == "default") == (side == "default")]
        for side in ("default", "finalist")
    }
    assert [record.seed for record in sides["default"]] == [record.seed for record in sides["finalist"]]
    assert len({1, *(r.seed for r in selection)} | {r.seed for r in judged}) == 1 + 1 + 3
    for default, finalist in zip(sides["default"], sides["finalist"], strict=True):
        noise = [ToyTrainer(record.params, "", record.seed).weights.tolist() for record in (default, finalist)]
        assert noise[0] == noise[1]
    assert {record.status for record in (*selection, *judged)} == {"finished"}
    assert all(record.epochs == EPOCHS and not record.rungs for record in (*selection, *judged))
    assert {record.params.get("evaluate_on") for record in judged} == {"test"}
    assert {record.params.get("evaluate_on") for record in selection} == {None}
    assert all(report["mean_frame_error"] == 1.25 for record in judged for report in record.reports)

    folder = result.folder
    stored = json.loads(folder.verdict.read_text())
    best = yaml.safe_load(folder.best_config.read_text())
    assert stored["verdict"] == best["verdict"] == "better"
    assert best["training"] == stored["finalist"]["params"] == dict(result.comparison.finalist.params)
    assert best["provenance"]["confirmation"]["seeds"] == [record.seed for record in sides["default"]]
    assert any(line.startswith("verdict      better: ") for line in closing_lines(result))
    assert not any("unconfirmed" in line for line in closing_lines(result))
    assert result_as_dict(result)["verdict"] == stored
    with folder.trials_csv.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["role"] for row in rows].count("confirm") == 3 + 6
    names = [event["event"] for event in read_events(folder.trials_jsonl) if event["trial_id"] is None]
    assert names == ["sweep_started", "confirm_started", "confirm_ended", "sweep_ended"]

    again = read_run(folder.path)
    assert again.verdict == result.verdict
    assert exportable(again) == result.comparison.finalist
    with pytest.raises(RequestError, match="--confirm-seeds 3: 3 are done"):
        confirm(folder.path, seeds=3)
    more = confirm(folder.path, seeds=4)
    assert more.verdict is not None
    assert len(more.verdict.pairs) == 4
    assert more.records[: len(result.records)] == result.records
    assert read_run(folder.path).config.confirm_seeds == 4


def test_a_sequential_confirmation_ends_with_its_answer_and_resumes_to_the_same(tmp_path: Path) -> None:
    settings = {"best_mel": 1.0}
    whole = run(request(tmp_path, name="whole", trials=3, confirm_seeds="auto", set_params=settings))
    assert whole.verdict is not None
    assert whole.verdict.word == "better"
    assert whole.verdict.is_final
    pairs = len(whole.verdict.pairs)
    assert 3 <= pairs < 10
    assert whole.verdict.look is not None
    assert pairs - whole.verdict.look.seeds <= 1, "at most what another slot ran meanwhile"
    assert read_run(whole.folder.path).config.confirm_seeds == "auto"
    given = request(tmp_path, name="cut", trials=3, confirm_seeds="auto", set_params=settings)
    cut = run(given, display=Interrupter(4))
    assert cut.ended == "interrupted"
    resumed = resume(cut.folder.path)
    assert [outcome(record) for record in resumed.records] == [outcome(record) for record in whole.records]
    assert resumed.verdict == whole.verdict
    with pytest.raises(RequestError, match="cut: is decided over"):
        confirm(cut.folder.path)


def test_a_gain_over_a_searched_learning_rate_is_divided_and_the_same_after_an_interruption(tmp_path: Path) -> None:
    settings = {"best_mel": 1.0, "best_rate": 2e-3}
    asked = {"space": "with_learning_rate", "trials": 5, "confirm_seeds": "auto", "set_params": settings}
    whole = run(request(tmp_path, name="whole", **asked))
    assert whole.comparison is not None
    assert whole.comparison.verdict.word == "better"
    probe = confirm_runs(whole, "probe")
    assert {1e-3, 0.5e-3, 2e-3} <= {float(str(record.params["learning_rate"])) for record in probe}
    tuned = [record for record in whole.records if record.label == "default with a tuned learning rate"]
    assert [record.seed for record in tuned] == [pair.seed for pair in whole.comparison.verdict.judged]
    stored = json.loads(whole.folder.verdict.read_text())
    assert 0 < stored["learning_rate"]["share_of_gain_percent"] <= 100
    for lang, said in (("en", "of the gain is learning rate"), ("fa", "بهبود از نرخ یادگیری است")):
        assert any(said in text for text in closing_lines(whole, lang))
        assert len(closing_lines(whole, lang)) <= 12
    assert "of the gain is learning rate" in whole.folder.report.read_text()

    begun = sum(record.role == "confirm" for record in whole.records) - len(probe) + 2
    cut = run(request(tmp_path, name="cut", **asked), display=Interrupter(begun))
    assert cut.ended == "interrupted"
    resumed = resume(cut.folder.path)
    assert [outcome(record) for record in resumed.records] == [outcome(record) for record in whole.records]
    assert json.loads(cut.folder.verdict.read_text())["learning_rate"] == stored["learning_rate"]


def test_an_answer_that_is_explained_later_tries_the_rate_that_was_not_searched(tmp_path: Path) -> None:
    first = run(request(tmp_path, trials=3, confirm_seeds="auto", set_params={"best_mel": 1.0, "best_rate": 2e-3}))
    assert json.loads(first.folder.verdict.read_text())["learning_rate"] is None
    first_page = first.folder.report.read_text()
    later = confirm(first.folder.path, explain=True)
    stored = json.loads(later.folder.verdict.read_text())["learning_rate"]
    assert [one["learning_rate"] for one in stored["probe"]] == [1e-3, 0.5e-3, 2e-3]
    assert (stored["searched"], stored["best_for_default"]) == (False, 2e-3)
    assert stored["effect_percent"] > 0
    page = later.folder.report.read_text()
    assert "The default at other learning rates" in page
    assert "The default at other learning rates" not in first_page


def test_an_interrupted_confirmation_goes_on_and_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = run(request(tmp_path, name="whole", trials=3, confirm_seeds=3))
    given = request(tmp_path, name="cut", trials=3, confirm_seeds=3)
    cut = run(given, display=Interrupter(4))
    assert cut.ended == "interrupted"
    assert [record.status for record in cut.records[-2:]] == ["finished", None]
    events = [event for event in read_events(cut.folder.trials_jsonl) if event["event"] == "confirm_ended"]
    assert [event["reason"] for event in events] == ["interrupted"]
    assert len(cut.records) < len(whole.records)
    resumed = resume(cut.folder.path)
    assert resumed.ended == "finished"
    assert [outcome(record) for record in resumed.records] == [outcome(record) for record in whole.records]
    assert resumed.verdict == whole.verdict
    assert resumed.verdict is not None
    assert resumed.verdict.word == "no difference"
    training = yaml.safe_load(resumed.folder.best_config.read_text())["training"]
    assert training == dict(resumed.records[0].params)
    assert resume(cut.folder.path).records == resumed.records


def test_a_default_that_is_the_best_is_kept_and_still_compared_with_the_best_other(tmp_path: Path) -> None:
    first = run(request(tmp_path, trials=2, concurrent=2, set_params={"best_mel": 2.5}))
    assert first.verdict is None
    assert not first.folder.verdict.exists()
    assert first.best is first.records[0]
    result = confirm(first.folder.path)
    assert result.verdict is not None
    assert result.verdict.word in ("no difference", "worse")
    assert result.comparison is not None
    assert result.comparison.finalist.trial_id == "t0002"
    assert confirm_runs(result, "selection") == []
    assert yaml.safe_load(result.folder.best_config.read_text())["training"] == dict(first.records[0].params)
    assert (result.folder.best / "toy.txt").exists()


def test_a_finalist_that_diverges_over_fresh_seeds_is_never_better(tmp_path: Path) -> None:
    settings = {"best_mel": 1.0, "diverges_from_seed": 2000}
    result = run(request(tmp_path, trials=2, confirm_seeds=3, set_params=settings))
    assert result.verdict is not None
    assert result.verdict.word in ("undecided", "worse")
    runs = [record for record in confirm_runs(result, "confirmation") if record.label != "default"]
    assert [(record.status, record.stop_reason) for record in runs] == [("diverged", "kl is inf at step 9")] * 3
    assert yaml.safe_load(result.folder.best_config.read_text())["training"] == dict(result.records[0].params)


def test_an_unfinished_search_is_confirmed_within_a_budget_and_both_continue_later(tmp_path: Path) -> None:
    begun = run(request(tmp_path, set_params={"slow": 0.3, "best_mel": 1.0}), display=Interrupter(3, role="trial"))
    assert [record.status for record in begun.records] == ["finished", "finished", None]
    short = confirm(begun.folder.path, budget_seconds=4.0)
    assert (short.ended, begun.records[:2]) == ("budget", short.records[:2])
    assert short.verdict is None or short.verdict.word == "undecided"
    confirmed = confirm(begun.folder.path)
    assert (confirmed.ended, confirmed.reason) == ("finished", "all confirmation runs are done")
    assert confirmed.verdict is not None
    assert confirmed.verdict.word == "better"
    runs = confirm_runs(confirmed, "selection") + confirm_runs(confirmed, "confirmation")
    assert confirmed.verdict.is_final
    assert len({(record.label, record.seed) for record in runs}) == len(runs) >= 2 + 6
    assert {record.label for record in runs if record.origin == "selection"} == {"candidate t0002", "candidate t0003"}
    whole = resume(begun.folder.path)
    assert [record.status for record in whole.records if record.role == "trial"][:3] == ["finished"] * 3
    assert len([record for record in whole.records if record.role == "trial"]) == 4
    assert [record for record in whole.records if record.role == "confirm"] == [
        record for record in confirmed.records if record.role == "confirm"
    ]
    assert whole.verdict == confirmed.verdict


def test_rivals_run_next_to_the_search_and_are_judged_with_it(tmp_path: Path) -> None:
    settings = {"best_mel": 1.0, "noise": 0.0}
    result = run(request(tmp_path, trials=3, confirm_seeds=3, rivals=True, set_params=settings))
    rivals = [record for record in result.records if record.role == "rival"]
    assert [(record.trial_id, record.origin, record.label) for record in rivals] == [
        ("r0001", "rival", "clairvoyant"),
        *((f"r000{number}", "confirmation", "clairvoyant") for number in (2, 3, 4)),
    ]
    assert rivals[0].seed == 1
    assert [rival.seed for rival in rivals[1:]] == [
        record.seed for record in confirm_runs(result, "confirmation") if record.label == "default"
    ]
    assert {record.status for record in rivals} == {"finished"}
    assert not any(record.rungs for record in rivals)
    assert {record.params["mel_loss_weight"] for record in rivals} == {1.0}
    assert result.best is not None
    assert result.best.role == "trial"

    stored = json.loads(result.folder.verdict.read_text())
    assert stored["rivals"]["clairvoyant"]["seeds_judged"] == 3
    assert stored["rivals"]["clairvoyant"]["against"] == ("finalist" if stored["verdict"] == "better" else "default")
    assert stored["rivals"]["clairvoyant"]["verdict"] == "better"
    assert any("clairvoyant, which needs no sweep, is better" in note["en"] for note in stored["notes"])
    lines = closing_lines(result)
    assert any(line.startswith("baseline     r0001: clairvoyant") for line in lines)
    with result.folder.trials_csv.open() as file:
        assert [row["role"] for row in csv.DictReader(file)].count("rival") == 4
    assert read_run(result.folder.path).comparison == result.comparison
    assert resume(result.folder.path).records == result.records


def test_rivals_that_a_search_did_not_ask_for_are_judged_when_the_confirmation_asks(tmp_path: Path) -> None:
    first = run(request(tmp_path, trials=2))
    assert not any(record.role == "rival" for record in first.records)
    result = confirm(first.folder.path, with_rivals=True)
    assert result.verdict is not None
    assert result.verdict.look is not None
    judged = result.verdict.look.seeds
    assert [record.origin for record in result.records if record.role == "rival"] == ["confirmation"] * judged
    assert read_run(first.folder.path).config.rivals


def test_what_the_judged_runs_measure_next_to_the_objective_stands_in_the_verdict(tmp_path: Path) -> None:
    settings = {"best_mel": 1.0, "noise": 0.0}
    result = run(request(tmp_path, trials=3, confirm_seeds=3, set_params=settings))
    judged = confirm_runs(result, "confirmation")
    assert all([len(record.reports) - 1] == _places_of_figures(record) for record in judged)
    assert not any(_places_of_figures(record) for record in result.records if record not in judged)
    assert result.comparison is not None
    (figure,) = result.comparison.figures
    mel = float(str(result.comparison.finalist.params["mel_loss_weight"]))
    assert figure.finalist - figure.default == pytest.approx(10 / mel - 4)
    stored = json.loads(result.folder.verdict.read_text())["figures"]["crackle"]
    assert set(stored["by_seed"]) == {str(record.seed) for record in judged}
    assert any(line.startswith("measured     crackle (dB) ") for line in closing_lines(result))
    if result.comparison.verdict.word == "better" and mel < 2.5:
        assert any("crackle (dB) disagrees" in note.text() for note in result.comparison.verdict.notes)


def _places_of_figures(record: TrialRecord) -> list[int]:
    return [place for place, report in enumerate(record.reports) if "figures" in report]


def test_a_search_without_room_for_another_trial_goes_over_to_its_confirmation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def three_fit(records: Sequence[TrialRecord], *, confirm_runs: int, **given: Any) -> bool:
        asked.append((confirm_runs, given["epochs"]))
        return len([record for record in records if record.role == "trial"]) < 3

    monkeypatch.setattr("sweeps.tuner.tuner.room_for_a_trial", three_fit)
    result = run(request(tmp_path, trials=9, seconds=3600.0, confirm_seeds=3, set_params={"best_mel": 1.0}))
    assert len([record for record in result.records if record.role == "trial"]) == 3
    assert (9, EPOCHS) in asked
    assert result.ended == "finished"
    assert result.reason == "3 of 9 trials are done; the time left was kept to confirm the best"
    assert result.verdict is not None
    assert len(result.verdict.pairs) == 3
    monkeypatch.undo()
    more = resume(result.folder.path, trials=5, budget_seconds=7200.0)
    assert len([record for record in more.records if record.role == "trial"]) == 5
    assert more.verdict == result.verdict
