"""Which trials are the best by their ends."""

from __future__ import annotations

import random

import numpy as np

from sweeps.trials.final_values import ranked_by_end
from sweeps.trials.record import TrialRecord, best_record
from tests.sweeps.builders import trial

FALL = np.linspace(1.0, 0.4, 27)


def noisy(number: int, end: float, seed: int) -> TrialRecord:
    """A full-length trial that falls to `end`, with noise that vanishes on the way."""
    noise = np.random.default_rng(seed).normal(0.0, 0.3, 27) * np.linspace(1.0, 0.0, 27) ** 2
    return trial(number, list(map(float, FALL + end - FALL[-1] + noise)))


def test_a_lucky_early_epoch_is_the_best_epoch_but_wins_no_first_place() -> None:
    lucky = list(map(float, FALL + 0.1))
    lucky[1] = 0.2
    records = [*(noisy(number, 0.4 + 0.01 * number, number) for number in range(1, 8)), trial(8, lucky)]
    best = best_record(records)
    assert best is not None
    assert best.trial_id == "t0008"
    assert [record.trial_id for record in ranked_by_end(records)] == [f"t{number:04d}" for number in range(1, 9)]


def test_a_stopped_trial_comes_after_those_of_full_length_and_the_order_of_records_does_not_count() -> None:
    records = [trial(1, [0.5, 0.4, 0.3]), trial(2, [0.1], status="stopped"), trial(3, [0.5, 0.4, 0.35])]
    for seed in range(6):
        shuffled = random.Random(seed).sample(records, 3)
        assert [record.trial_id for record in ranked_by_end(shuffled)] == ["t0001", "t0003", "t0002"]


def test_what_diverged_or_reported_nothing_has_no_place() -> None:
    records = [trial(1, [0.5]), trial(2, [0.1], status="diverged"), trial(3, [], status="failed")]
    assert [record.trial_id for record in ranked_by_end(records)] == ["t0001"]
