"""Rungs: the rule against Ray's own, and what foretells the end."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from ray.tune.schedulers.async_hyperband import AsyncHyperBandScheduler

from sweeps.budget import Budget
from sweeps.records import TrialRecord, records_from_events
from sweeps.rungs import FEWEST_FOR_A_CORRELATION, Rungs, hopeless_beyond, rung_correlation
from tests.sweeps.builders import trial, trial_events


class RayTrial:
    """What Ray's scheduler reads of a trial."""

    def __init__(self, number: int) -> None:
        self.trial_id = str(number)


def foretelling(count: int = 6) -> list[TrialRecord]:
    """Full-length trials of nine epochs whose order at epoch 3 is nearly that of their ends, from 0.3 to 0.5 there."""
    ends = np.linspace(0.1, 0.3, count)
    return [
        trial(number, [0.9, 0.8, end + 0.2 + 0.002 * (-1) ** number, *[end] * 6]) for number, end in enumerate(ends, 1)
    ]


def at_rung_three(records: list[TrialRecord]) -> Rungs:
    rungs = Rungs(9, 3)
    for record in records:
        rungs.reach(record.trial_id, 3, record.running_best[3], [])
    return rungs


def test_who_is_among_the_best_third_goes_on_as_in_rays_asha() -> None:
    for seed in range(20):
        chance = random.Random(seed)
        epochs, first = 27, chance.choice([1, 3, 9])
        asha = AsyncHyperBandScheduler(
            "epoch", "objective", "min", max_t=epochs, grace_period=first, reduction_factor=3
        )
        rungs = Rungs(epochs, first)
        # A rung that says everything of the end: whatever is not the best is hopeless, so Ray's rule alone is left.
        sure = [trial(n, [50.0 + n] * epochs) for n in range(5)] + [trial(5, [-50.0] * epochs)]
        alive = list(range(12))
        for number in alive:
            asha.on_trial_add(None, RayTrial(number))
        at = dict.fromkeys(alive, 0)
        stops = 0
        while alive:
            number = chance.choice(alive)
            at[number] += 1
            value = chance.random()
            theirs = asha.on_trial_result(None, RayTrial(number), {"epoch": at[number], "objective": value})
            ours = rungs.reach(str(number), at[number], value, sure)
            if at[number] == epochs:
                alive.remove(number)
                continue
            assert (theirs == "STOP") == (ours is not None and ours.stop)
            if theirs == "STOP":
                stops += 1
                alive.remove(number)
        assert stops > 0


def test_nobody_stops_before_enough_trials_have_shown_what_the_rung_foretells() -> None:
    known = foretelling()
    for count in range(FEWEST_FOR_A_CORRELATION):
        decision = at_rung_three(known).reach("late", 3, 9.0, known[:count])
        assert decision is not None
        assert (decision.stop, decision.cutoff) == (False, None)
    decision = at_rung_three(known).reach("late", 3, 9.0, known)
    assert decision is not None
    assert decision.stop


def test_nobody_stops_where_the_order_at_the_rung_says_nothing_of_the_end() -> None:
    ends = [0.1, 0.5, 0.3, 0.6, 0.2, 0.4]
    misled = [trial(n, [0.9, 0.9, 0.6 + 0.01 * (n % 3), *[end] * 6]) for n, end in enumerate(ends, 1)]
    assert (rung_correlation(misled, 3).value or 0.0) < 0.5
    decision = at_rung_three(misled).reach("late", 3, 9.0, misled)
    assert decision is not None
    assert not decision.stop


def test_a_trial_that_may_still_become_the_best_goes_on_though_it_is_not_among_the_best_third() -> None:
    at_three = [0.3, 0.34, 0.38, 0.42, 0.46, 0.5]
    loose = [trial(n, [0.9, 0.8, v, *[v - 0.2 + 0.04 * (-1) ** n] * 6]) for n, v in enumerate(at_three, 1)]
    rungs = at_rung_three(loose)
    third, limit = rungs.cutoff(3), hopeless_beyond(loose, 3)
    assert third is not None
    assert limit is not None
    assert third < limit
    decisions = [at_rung_three(loose).reach("late", 3, value, loose) for value in (limit - 0.001, limit + 0.001)]
    assert [decision.stop for decision in decisions if decision] == [False, True]
    assert [decision.cutoff for decision in decisions if decision] == [limit, limit]


def test_the_first_rung_stands_at_a_third_of_the_full_length() -> None:
    expected = {1: (), 2: (1,), 3: (1,), 6: (2,), 7: (3,), 9: (3,), 27: (9,), 100: (34,)}
    assert {epochs: Rungs(epochs, Budget(1, epochs).first_rung).epochs for epochs in expected} == expected
    assert Rungs(27, 1).epochs == (1, 3, 9)


def test_the_first_at_a_rung_always_goes_on() -> None:
    decision = Rungs(9, 3).reach("a", 3, 99.0, foretelling())
    assert decision is not None
    assert (decision.stop, decision.cutoff) == (False, None)


def test_a_protected_trial_is_recorded_but_never_stopped() -> None:
    known = foretelling()
    rungs = at_rung_three(known)
    before = rungs.cutoff(3)
    decision = rungs.reach("default", 3, 0.9, known, protected=True)
    assert decision is not None
    assert not decision.stop
    assert rungs.cutoff(3) != before


def test_nan_never_enters_a_rung() -> None:
    rungs = Rungs(9, 3)
    rungs.reach("a", 3, 0.5, [])
    assert rungs.reach("b", 3, math.nan, []) is None
    assert rungs.reach("c", 3, math.inf, []) is None
    assert rungs.cutoff(3) == 0.5


def test_a_trial_is_decided_on_once_at_each_rung() -> None:
    rungs = Rungs(9, 3)
    assert rungs.reach("a", 2, 0.5, []) is None
    assert rungs.reach("a", 3, 0.5, []) is not None
    assert rungs.reach("a", 4, 0.4, []) is None


def test_rungs_that_were_restored_decide_as_before() -> None:
    values = {"t0001": 0.5, "t0002": 0.3, "t0003": 0.7}
    before, events = Rungs(9, 3), []
    for number, (trial_id, value) in enumerate(values.items(), 1):
        decision = before.reach(trial_id, 3, value, [])
        assert decision is not None
        outcome = {"epoch": 3, "value": value, "cutoff": decision.cutoff, "decision": "go"}
        events += [
            trial_events(number, [value], None)[0],
            {"event": "rung", "trial_id": trial_id, "time": 1.0} | outcome,
        ]
    after = Rungs(9, 3)
    after.restore(records_from_events(events))
    assert after.cutoff(3) == before.cutoff(3)
    assert after.reach("t0002", 5, 0.2, []) is None


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
