"""Ray's loop is gone through again for trials that it gave up, but not without end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from sweeps.common.errors import SweepFailed
from sweeps.trials.journal import Journal, read
from sweeps.tuner.api import run
from sweeps.tuner.tuner import MOST_IN_VAIN, Session
from tests.sweeps.builders import toy_request

TRIAL = "t0001"
Loop = Callable[[Journal, int], None]


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> Callable[[Loop], list[int]]:
    """Puts what is given in the place of Ray's loop, and counts how often it was gone through."""
    numbers: list[int] = []

    def put(loop: Loop) -> list[int]:
        def once(session: Session) -> tuple[str, str]:
            numbers.append(len(numbers) + 1)
            loop(session._journal, numbers[-1])
            return "finished", "all trials are done"

        monkeypatch.setattr("sweeps.backend.session.ray_session", lambda *given: nullcontext())
        monkeypatch.setattr(Session, "_tune_once", once)
        return numbers

    return put


def begun_or_retried(journal: Journal, number: int) -> None:
    if number == 1:
        config = {"mel_loss_weight": 2.5, "kl_loss_weight": 1.0, "gradient_clip_norm": 0.5}
        journal.append("trial_started", TRIAL, role="trial", seed=1, slot=0, params=config, origin="default")
    else:
        journal.append("trial_retried", TRIAL, epoch=0, reason="its worker died")


def test_a_trial_whose_worker_never_comes_up_fails_and_is_not_tried_without_end(
    loops: Callable[[Loop], list[int]], tmp_path: Path
) -> None:
    gone_through = loops(begun_or_retried)
    with pytest.raises(SweepFailed, match=f"{TRIAL} failed: its worker died again and again before it could train"):
        run(toy_request(tmp_path, trials=1))
    assert len(gone_through) == MOST_IN_VAIN
    assert read(tmp_path / "toy" / "trials.jsonl")[0].status == "failed"


def test_a_report_in_between_shows_that_it_was_not_in_vain(loops: Callable[[Loop], list[int]], tmp_path: Path) -> None:
    last = 3 * MOST_IN_VAIN

    def loop(journal: Journal, number: int) -> None:
        begun_or_retried(journal, number)
        if number % MOST_IN_VAIN == 0:
            journal.append("report", TRIAL, epoch=number // MOST_IN_VAIN, objective=0.5)
        if number == last:
            journal.append("trial_ended", TRIAL, status="finished", stop_reason="all 3 epochs", epoch=3, rung=None)

    gone_through = loops(loop)
    run(toy_request(tmp_path, trials=1))
    assert len(gone_through) == last
    assert read(tmp_path / "toy" / "trials.jsonl")[0].status == "finished"
