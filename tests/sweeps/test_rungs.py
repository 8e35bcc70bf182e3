"""Rungs: the rule against Ray's own, and what foretells the end."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from ray.tune.schedulers.async_hyperband import AsyncHyperBandScheduler

from sweeps.budget import Budget
from sweeps.records import records_from_events
from sweeps.rungs import Rungs, rung_correlation
from tests.sweeps.builders import trial, trial_events


class RayTrial:
    """What Ray's scheduler reads of a trial."""

    def __init__(self, number: int) -> None:
        self.trial_id = str(number)


def test_decisions_are_those_of_rays_asha() -> None:
    for seed in range(20):
        chance = random.Random(seed)
        epochs, first = 27, chance.choice([1, 3, 9])
        asha = AsyncHyperBandScheduler(
            "epoch", "objective", "min", max_t=epochs, grace_period=first, reduction_factor=3
        )
        rungs = Rungs(epochs, first)
        alive = list(range(12))
        for number in alive:
            asha.on_trial_add(None, RayTrial(number))
        at = dict.fromkeys(alive, 0)
        while alive:
            number = chance.choice(alive)
            at[number] += 1
            value = chance.random()
            theirs = asha.on_trial_result(None, RayTrial(number), {"epoch": at[number], "objective": value})
            ours = rungs.reach(str(number), at[number], value)
            if at[number] == epochs:
                alive.remove(number)
                continue
            assert (theirs == "STOP") == (ours is not None and ours.stop)
            if theirs == "STOP":
                alive.remove(number)


def test_the_first_rung_stands_at_a_third_of_the_full_length() -> None:
    expected = {1: (), 2: (1,), 3: (1,), 6: (2,), 7: (3,), 9: (3,), 27: (9,), 100: (34,)}
    assert {epochs: Rungs(epochs, Budget(1, epochs).first_rung).epochs for epochs in expected} == expected
    assert Rungs(27, 1).epochs == (1, 3, 9)


def test_the_first_at_a_rung_always_goes_on() -> None:
    decision = Rungs(9, 3).reach("a", 3, 99.0)
    assert decision is not None
    assert (decision.stop, decision.cutoff) == (False, None)


def test_a_protected_trial_is_recorded_but_never_stopped() -> None:
    rungs = Rungs(9, 3)
    rungs.reach("a", 3, 0.1)
    decision = rungs.reach("default", 3, 0.9, protected=True)
    assert decision is not None
    assert not decision.stop
    assert rungs.cutoff(3) == pytest.approx(np.percentile([0.1, 0.9], 100 / 3))


def test_nan_never_enters_a_rung() -> None:
    rungs = Rungs(9, 3)
    rungs.reach("a", 3, 0.5)
    assert rungs.reach("b", 3, math.nan) is None
    assert rungs.reach("c", 3, math.inf) is None
    assert rungs.cutoff(3) == 0.5


def test_a_trial_is_decided_on_once_at_each_rung() -> None:
    rungs = Rungs(9, 3)
    assert rungs.reach("a", 2, 0.5) is None
    assert rungs.reach("a", 3, 0.5) is not None
    assert rungs.reach("a", 4, 0.4) is None


def test_rungs_that_were_restored_decide_as_before() -> None:
    values = {"t0001": 0.5, "t0002": 0.3, "t0003": 0.7}
    before, events = Rungs(9, 3), []
    for number, (trial_id, value) in enumerate(values.items(), 1):
        decision = before.reach(trial_id, 3, value)
        assert decision is not None
        outcome = {"epoch": 3, "value": value, "cutoff": decision.cutoff, "decision": "go"}
        events += [
            trial_events(number, [value], None)[0],
            {"event": "rung", "trial_id": trial_id, "time": 1.0} | outcome,
        ]
    after = Rungs(9, 3)
    after.restore(records_from_events(events))
    assert after.cutoff(3) == before.cutoff(3)
    assert after.reach("t0002", 5, 0.2) is None


def test_the_correlation_counts_full_length_trials_only() -> None:
    curves = [[0.9, 0.5], [0.8, 0.4], [0.7, 0.3], [0.6, 0.2]]
    same = [trial(number, curve) for number, curve in enumerate(curves, 1)]
    stopped = trial(9, [0.1], "stopped")
    assert rung_correlation([*same, stopped], 1).value == pytest.approx(1.0)
    opposite = [trial(number, [1.6 - first, last]) for number, (first, last) in enumerate(curves, 1)]
    assert rung_correlation(opposite, 1).value == pytest.approx(-1.0)
    assert "too few" in str(rung_correlation(same[:3], 1))
    assert "+1.00 over 4" in str(rung_correlation(same, 1))


def test_the_correlation_is_spearmans_also_with_ties() -> None:
    from scipy.stats import spearmanr

    chance = random.Random(1)
    curves = [[chance.randrange(4) / 4 + 1, chance.randrange(4) / 4] for _ in range(15)]
    records = [trial(number, curve) for number, curve in enumerate(curves, 1)]
    assert rung_correlation(records, 1).value == pytest.approx(spearmanr(*zip(*curves, strict=True)).statistic)
