"""The tuner's phases one by one, without Ray: which trial comes next, what a resume reopens, what the close gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeps.common.errors import SweepFailed
from sweeps.run.config import SweepConfig, sweep_yaml
from sweeps.run.folder import RunFolder, new_run, write_sweep_yaml
from sweeps.run.logger import Logger, Loggers
from sweeps.run.run import Run, SweepResult, read_run
from sweeps.storage.checkpoint_store import checkpoint_store_at
from sweeps.trials.event import Event
from sweeps.trials.journal import Journal
from sweeps.tuner.api import plan_for
from sweeps.tuner.callbacks import Callbacks
from sweeps.tuner.closing import ClosePhase
from sweeps.tuner.confirmation_phase import ConfirmationPhase
from sweeps.tuner.open_trials import MOST_IN_VAIN, reopen, run_until_done
from sweeps.tuner.search_phase import SearchPhase
from sweeps.tuner.trial_source import TrialSource
from tests.sweeps.builders import toy_request, trial_events
from tests.toy_trainer import ToyTrainer

TRIAL = "t0001"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "trials.jsonl") as opened:
        yield opened


def source_of(
    journal: Journal, config: SweepConfig, *, searching: bool = True, has_room: Callable[[], bool] = lambda: True
) -> TrialSource:
    confirmation = ConfirmationPhase(config, ToyTrainer, journal, searching=searching)
    search = SearchPhase(config, journal, confirmation.rivals, has_room)
    return TrialSource(journal, search if searching else None, confirmation)


def test_a_trial_is_a_control_by_what_was_chosen_and_not_by_its_trainers_own_default(
    journal: Journal, tmp_path: Path
) -> None:
    own = {"learning_rate": 0.05}  # limits.yaml ends at 0.003
    config = toy_request(tmp_path, fixed=own, allow_unsafe=True)
    first = SearchPhase(config, journal, {}, own_defaults=own).next(0)
    assert first is not None
    assert first.role == "trial"
    second = SearchPhase(replace(config, set_params={"learning_rate": 0.04}), journal, {}, own_defaults=own).next(0)
    assert second is not None
    assert second.role == "control"


def finish(journal: Journal, trial_id: str, objective: float = 0.5, epochs: int = 3) -> None:
    for epoch in range(1, epochs + 1):
        journal.append("report", trial_id, epoch=epoch, objective=objective)
    journal.end(trial_id, "finished", "all epochs")


def test_the_search_comes_first_and_its_confirmation_when_all_its_trials_have_ended(
    journal: Journal, tmp_path: Path
) -> None:
    source = source_of(journal, toy_request(tmp_path, trials=2, confirm_seeds=2))
    assert source.next(0) is not None
    second = source.next(1, {"t0001"})
    assert second is not None
    assert second.trial_id == "t0002"
    assert source.next(2, {"t0001", "t0002"}) is None
    assert source.more_later()
    finish(journal, "t0001", 0.6)
    finish(journal, "t0002", 0.5)
    run = source.next(0)
    assert run is not None
    assert (run.trial_id, run.role, run.origin) == ("c0001", "confirm", "confirmation")
    assert [event["event"] for event in journal.events].count("confirm_started") == 1


def test_a_trial_that_was_left_open_comes_before_any_new_one_and_once(journal: Journal, tmp_path: Path) -> None:
    config = toy_request(tmp_path, trials=2)
    assert source_of(journal, config).next(0) is not None
    source = source_of(journal, config)
    again = source.next(1)
    assert again is not None
    assert (again.trial_id, again.slot, again.attempts, again.retries) == ("t0001", 1, 2, 0)
    following = source.next(0, {"t0001"})
    assert following is not None
    assert following.trial_id == "t0002"


def test_without_a_confirmation_nothing_is_waited_for(journal: Journal, tmp_path: Path) -> None:
    source = source_of(journal, toy_request(tmp_path, trials=1))
    assert source.next(0) is not None
    assert source.next(1, {"t0001"}) is None
    assert not source.more_later()


def test_a_search_without_room_for_another_trial_goes_over_to_its_confirmation(
    journal: Journal, tmp_path: Path
) -> None:
    source = source_of(
        journal, toy_request(tmp_path, trials=9, confirm_seeds=1), has_room=lambda: len(journal.records) < 2
    )
    for trial_id in ("t0001", "t0002"):
        assert source.next(0) is not None
        finish(journal, trial_id, 0.4 if trial_id == "t0002" else 0.5)
    run = source.next(0)
    assert run is not None
    assert run.role == "confirm"


def test_a_resume_closes_what_was_decided_and_reopens_what_ran_out_of_time(journal: Journal) -> None:
    def put(number: int, objectives: list[float], status: str | None, **rung: object) -> None:
        for event in trial_events(number, objectives, status):
            details = {name: value for name, value in event.items() if name not in ("event", "trial_id", "time")}
            journal.append(str(event["event"]), str(event["trial_id"]), **details)
        if rung:
            journal.append("rung", f"t{number:04d}", **rung)

    put(1, [0.5, 0.4, 0.3], None)
    put(2, [0.5], None, epoch=1, decision="stop")
    put(3, [0.5, float("nan")], None)
    put(4, [0.5], "budget")
    put(5, [0.5], None)
    reopen(journal, 3, searching=True)
    assert [record.status for record in journal.records] == ["finished", "stopped", "diverged", None, None]


@pytest.mark.parametrize(
    ("reason", "again"),
    [
        ("OSError: [Errno 28] No space left on device", True),
        ("the worker was killed because memory ran out", True),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'clip.wav'", True),
        ("its node died or cannot be reached", True),
        ("ValueError: the toy broke in epoch 2", False),
        ("the worker process died", False),
    ],
)
def test_a_resume_tries_what_failed_for_its_surroundings_again_and_nothing_else(
    journal: Journal, reason: str, again: bool
) -> None:
    started(journal)
    journal.end(TRIAL, "failed", reason)
    reopen(journal, 3, searching=True)
    (record,) = journal.records
    assert (record.status is None) == again
    assert record.retries == 0


def started(journal: Journal) -> None:
    config = {"mel_loss_weight": 2.5, "kl_loss_weight": 1.0, "gradient_clip_norm": 0.5}
    journal.append("trial_started", TRIAL, role="trial", seed=1, slot=0, params=config, origin="default")


def test_a_trial_whose_worker_never_comes_up_fails_and_is_not_tried_without_end(
    journal: Journal, tmp_path: Path
) -> None:
    loops = [0]

    def loop() -> None:
        loops[0] += 1
        journal.append("trial_retried", TRIAL, epoch=0, reason="its worker died")

    started(journal)
    assert run_until_done(loop, journal, source_of(journal, toy_request(tmp_path, trials=1))) is None
    assert loops == [MOST_IN_VAIN]
    (record,) = journal.records
    assert (record.status, record.stop_reason) == ("failed", "its worker crashed 3 times before its next epoch")


def test_a_report_in_between_shows_that_it_was_not_in_vain(journal: Journal, tmp_path: Path) -> None:
    loops, last = [0], 3 * MOST_IN_VAIN

    def loop() -> None:
        loops[0] += 1
        journal.append("trial_retried", TRIAL, epoch=0, reason="its worker died")
        if loops[0] % MOST_IN_VAIN == 0:
            journal.append("report", TRIAL, epoch=loops[0] // MOST_IN_VAIN, objective=0.5)
        if loops[0] == last:
            journal.end(TRIAL, "finished", "all 3 epochs")

    started(journal)
    assert run_until_done(loop, journal, source_of(journal, toy_request(tmp_path, trials=1))) is None
    assert loops == [last]
    assert journal.records[0].status == "finished"


def test_loops_that_are_stopped_are_not_begun_again(journal: Journal, tmp_path: Path) -> None:
    started(journal)
    source = source_of(journal, toy_request(tmp_path, trials=1))
    assert run_until_done(lambda: "interrupted by SIGINT", journal, source) == "interrupted by SIGINT"


class Broken(Logger):
    """Raises in one of its methods."""

    def __init__(self, method: str) -> None:
        self.calls: list[str] = []
        self._method = method

    def start(self, folder: RunFolder) -> None:
        """Start."""
        self._called("start")

    def on_event(self, event: Event) -> None:
        """An event."""
        self._called(str(event["event"]))

    def close(self, run: Run) -> str | None:
        """Close."""
        self._called("close")
        return "all is recorded"

    def _called(self, method: str) -> None:
        self.calls.append(method)
        if method == self._method:
            raise OSError("the tracker is gone")


def test_a_logger_that_raises_is_dropped_with_one_line_and_harms_no_other(tmp_path: Path) -> None:
    lines: list[str] = []
    broken, whole = Broken("report"), Broken("nothing")
    loggers = Loggers([broken, whole], lines.append)
    loggers.start(RunFolder(tmp_path))
    for kind in ("trial_started", "report", "report"):
        loggers.on_event({"event": kind})
    assert loggers.close(None) == ["all is recorded"]  # type: ignore[arg-type]
    assert loggers.close(None) == []  # type: ignore[arg-type]
    assert lines == ["Broken is switched off: OSError: the tracker is gone"]
    assert broken.calls == ["start", "trial_started", "report"]
    assert whole.calls == ["start", "trial_started", "report", "report", "close"]


class Speechless(ToyTrainer):
    """Writes its weights, and then cannot speak."""

    def export_best(self, folder: Path) -> None:
        """Half of it."""
        super().export_best(folder)
        raise ValueError("text of 432 characters: at most 400")


def finished_run(tmp_path: Path, objectives: Mapping[int, float]) -> Run:
    config = toy_request(tmp_path, trials=2)
    folder = new_run(tmp_path, "toy")
    write_sweep_yaml(folder, sweep_yaml(config, plan_for(config)))
    with Journal(folder.trials_jsonl) as journal:
        for number, objective in objectives.items():
            for event in trial_events(number, [objective] * 3, origin="default" if number == 1 else "sobol"):
                details = {name: value for name, value in event.items() if name not in ("event", "trial_id", "time")}
                journal.append(str(event["event"]), str(event["trial_id"]), **details)
    return read_run(folder.path)


def closed(run: Run, trainer: type[ToyTrainer] = ToyTrainer, **callbacks: Any) -> SweepResult:
    given = Callbacks(**callbacks)
    loggers = Loggers(given.loggers, lambda line: None)
    return ClosePhase(given, loggers, checkpoint_store_at(str(run.folder.checkpoints)), trainer, 1.0).close(
        run, "finished", "all"
    )


def broken(what: str) -> Callable[[object], None]:
    def step(given: object) -> None:
        raise ValueError(f"no {what} today")

    return step


def test_each_closing_step_that_fails_gives_a_line_and_takes_nothing_else_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(tmp_path, {1: 0.5, 2: 0.4})
    monkeypatch.setattr("sweeps.tuner.output_files.write_optuna_db", broken("database").__call__)
    monkeypatch.setattr("sweeps.tuner.closing.export_best", lambda *given: broken("export")(given))
    logger = Broken("nothing")
    result = closed(run, report=broken("page"), on_end=[broken("hook")], loggers=[logger])
    assert result.best is not None
    assert result.best.trial_id == "t0002"
    assert [note.partition(":")[0] for note in result.notes] == [
        "report.html could not be written",
        "optuna.db could not be written",
        "best/ could not be written",
        "all is recorded",
    ]
    assert (run.folder.path / "best_config.yaml").exists()
    assert (run.folder.path / "trials.csv").exists()


def test_weights_are_given_although_the_model_cannot_speak(tmp_path: Path) -> None:
    run = finished_run(tmp_path, {1: 0.5, 2: 0.4})
    from sweeps.storage.checkpoint import Checkpoint

    store = checkpoint_store_at(str(run.folder.checkpoints))
    store.save("t0002", Checkpoint(ToyTrainer({}, "", 1).state_dict(), {}), best=True)
    result = closed(run, Speechless)
    assert (run.folder.best / "toy.txt").exists()
    assert result.notes == ("best/ is not complete: ValueError: text of 432 characters: at most 400",)


def test_a_run_without_any_result_fails_with_the_reason_and_closes_its_loggers(tmp_path: Path) -> None:
    run = finished_run(tmp_path, {1: float("nan")})
    failed = replace(run, records=[replace(record, status="failed", stop_reason="it broke") for record in run.records])
    with pytest.raises(SweepFailed, match=r"no trial came to a result \(t0001 failed: it broke\)"):
        closed(failed)
