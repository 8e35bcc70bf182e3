"""Rungs: who is stopped, and what foretells the end."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from sweeps.common.budget import MANY_TRIALS, Budget
from sweeps.search.asha import FEWEST_FOR_A_CORRELATION, RungCorrelation, Rungs, hopeless_beyond, rung_correlation
from sweeps.trials.final_values import FullLengthCurves
from sweeps.trials.record import TrialRecord, records_from_events
from tests.sweeps.builders import trial, trial_events


def foretelling(count: int = 6) -> list[TrialRecord]:
    """Full-length trials of nine epochs whose order at epoch 3 is nearly that of their ends, from 0.3 to 0.5 there."""
    ends = np.linspace(0.1, 0.3, count)
    return [
        trial(number, [0.9, 0.8, end + 0.2 + 0.002 * (-1) ** number, *[end] * 6]) for number, end in enumerate(ends, 1)
    ]


def test_nobody_stops_before_enough_trials_have_shown_what_the_rung_foretells() -> None:
    known = foretelling()
    for count in range(FEWEST_FOR_A_CORRELATION):
        decision = Rungs(9, 3).reach("late", 3, 9.0, known[:count])
        assert decision is not None
        assert (decision.stop, decision.cutoff) == (False, None)
    decision = Rungs(9, 3).reach("late", 3, 9.0, known)
    assert decision is not None
    assert decision.stop


def test_nobody_stops_where_the_order_at_the_rung_says_nothing_of_the_end() -> None:
    ends = [0.1, 0.5, 0.3, 0.6, 0.2, 0.4]
    misled = [trial(n, [0.9, 0.9, 0.6 + 0.01 * (n % 3), *[end] * 6]) for n, end in enumerate(ends, 1)]
    assert (rung_correlation(misled, 3).value or 0.0) < 0.5
    decision = Rungs(9, 3).reach("late", 3, 9.0, misled)
    assert decision is not None
    assert not decision.stop


def test_the_looser_a_rung_foretells_the_end_the_worse_a_trial_may_stand_there_and_continue() -> None:
    limits = []
    for off in (0.001, 0.01, 0.02):
        values = [0.3, 0.34, 0.38, 0.42, 0.46, 0.5]
        known = [trial(n, [0.9, 0.8, v, *[v - 0.2 + off * (-1) ** n] * 6]) for n, v in enumerate(values, 1)]
        limit = hopeless_beyond(FullLengthCurves(known), 3)
        assert limit is not None
        decisions = [Rungs(9, 3).reach("late", 3, value, known) for value in (limit - 0.001, limit + 0.001)]
        assert [decision.stop for decision in decisions if decision] == [False, True]
        assert [decision.cutoff for decision in decisions if decision] == [limit, limit]
        limits.append(limit)
    assert 0.3 < limits[0] < limits[1] < limits[2]


def test_the_first_rung_stands_at_a_third_of_the_full_length() -> None:
    expected = {1: (), 2: (1,), 3: (1,), 6: (2,), 7: (3,), 9: (3,), 27: (9,), 100: (34,)}
    assert {epochs: Rungs(epochs, Budget(1, epochs).first_rung).epochs for epochs in expected} == expected
    assert Rungs(27, 1).epochs == (1, 3, 9)


def test_with_many_trials_they_are_compared_from_a_ninth_of_the_full_length_on_but_not_before_epoch_3() -> None:
    expected = {1: (), 2: (1,), 3: (1,), 6: (2,), 9: (3,), 12: (3, 9), 27: (3, 9), 81: (9, 27)}
    assert {epochs: Rungs.of(Budget(MANY_TRIALS, epochs)).epochs for epochs in expected} == expected
    assert Rungs.of(Budget(MANY_TRIALS - 1, 27)).epochs == (9,)


def came_to_the_rung(rungs: Rungs, values: list[float], known: list[TrialRecord]) -> list[bool]:
    """Who of trials with these values at epoch 3 stops, each after those before it."""
    stops = []
    for number, value in enumerate(values, 100):
        known.append(trial(number, [0.9, 0.8, value], status=None))
        decision = rungs.reach(known[-1].trial_id, 3, value, known)
        assert decision is not None
        stops.append(decision.stop)
    return stops


def test_of_many_trials_only_the_best_third_continues_until_enough_have_run_to_the_end() -> None:
    many, few = Rungs.of(Budget(MANY_TRIALS, 9)), Rungs.of(Budget(MANY_TRIALS - 1, 9))
    values = [0.5, 0.6, 0.55, 0.4, 0.45, 0.42]
    assert came_to_the_rung(many, values, []) == [False, False, True, False, True, False]
    assert came_to_the_rung(few, values, []) == [False] * 6


def test_of_many_trials_the_best_third_counts_no_longer_once_enough_have_run_to_the_end() -> None:
    ends = [0.1, 0.5, 0.3, 0.6]
    misled = [trial(n, [0.9, 0.9, 0.6 + 0.01 * (n % 3), *[end] * 6]) for n, end in enumerate(ends, 1)]
    assert came_to_the_rung(Rungs.of(Budget(MANY_TRIALS, 9)), [0.5, 0.6, 0.7, 0.8], misled) == [False] * 4


def test_a_protected_trial_is_never_stopped() -> None:
    known = foretelling()
    decision = Rungs(9, 3).reach("default", 3, 0.9, known, protected=True)
    assert decision is not None
    assert decision.cutoff is not None
    assert decision.cutoff < 0.9
    assert not decision.stop


def test_what_is_not_finite_comes_to_no_rung() -> None:
    rungs = Rungs(9, 3)
    assert rungs.reach("b", 3, math.nan, foretelling()) is None
    assert rungs.reach("b", 3, math.inf, foretelling()) is None
    assert rungs.reach("b", 3, 0.5, foretelling()) is not None


def test_a_trial_is_decided_on_once_at_each_rung() -> None:
    rungs = Rungs(9, 3)
    assert rungs.reach("a", 2, 0.5, []) is None
    assert rungs.reach("a", 3, 0.5, []) is not None
    assert rungs.reach("a", 4, 0.4, []) is None


def test_decisions_on_a_journal_that_grows_are_those_of_all_its_records_at_once() -> None:
    chance = np.random.default_rng(1)
    curves = [[0.9, 0.8, *(end + 0.2 + 0.02 * chance.normal(size=5)), end] for end in chance.random(40)]
    running = [trial(number, curve[:4], None) for number, curve in enumerate(curves, 1)]
    whole = [trial(number, [float(value) for value in curve]) for number, curve in enumerate(curves, 1)]
    growing, records, cutoffs = Rungs(9, 3), list(running), []
    for place in chance.permutation(40):  # they end in another order than they began
        records[place] = whole[place]
        decision = growing.reach(f"after {place}", 3, 0.6, records)
        assert decision == Rungs(9, 3).reach("at once", 3, 0.6, records)
        cutoffs.append(None if decision is None else decision.cutoff)
    assert len(set(cutoffs)) > 20


def test_rungs_that_were_restored_decide_on_nobody_twice() -> None:
    event = {"event": "rung", "trial_id": "t0002", "time": 1.0, "epoch": 3, "value": 0.3, "decision": "go"}
    after = Rungs(9, 3)
    after.restore(records_from_events([trial_events(2, [0.3], None)[0], event]))
    assert after.reach("t0002", 5, 0.2, foretelling()) is None
    assert after.reach("t0003", 5, 0.2, foretelling()) is not None


def test_the_correlation_counts_full_length_trials_only() -> None:
    curves = [[0.9, 0.5], [0.8, 0.4], [0.7, 0.3], [0.6, 0.2]]
    same = [trial(number, curve) for number, curve in enumerate(curves, 1)]
    stopped = trial(9, [0.1], "stopped")
    assert rung_correlation([*same, stopped], 1).value == pytest.approx(1.0)
    opposite = [trial(number, [1.6 - first, last]) for number, (first, last) in enumerate(curves, 1)]
    assert rung_correlation(opposite, 1).value == pytest.approx(-1.0)
    assert rung_correlation(same[:3], 1) == RungCorrelation(1, 3, None)
    assert rung_correlation(same, 1) == RungCorrelation(1, 4, pytest.approx(1.0))


def test_the_correlation_is_spearmans_also_with_ties() -> None:
    from scipy.stats import spearmanr

    chance = random.Random(1)
    curves = [[chance.randrange(4) / 4 + 1, chance.randrange(4) / 4] for _ in range(15)]
    records = [trial(number, curve) for number, curve in enumerate(curves, 1)]
    assert rung_correlation(records, 1).value == pytest.approx(spearmanr(*zip(*curves, strict=True)).statistic)


def test_the_best_of_four_that_would_be_stopped_in_a_row_continues() -> None:
    known, rungs = foretelling(), Rungs(9, 3)
    stops = []
    for number, value in enumerate([0.9, 0.95, 0.85, 0.88, 0.8, 0.9, 0.9, 0.95], 10):
        decision = rungs.reach(f"t{number:04d}", 3, value, known)
        assert decision is not None
        stops.append(decision.stop)
        event = {"event": "rung", "epoch": 3, "value": value, "time": float(number)}
        event |= {"trial_id": f"t{number:04d}", "decision": "stop" if decision.stop else "go"}
        known += records_from_events([*trial_events(number, [0.99, 0.98, value], "stopped"), event])
    assert stops == [True, True, True, True, False, True, True, True]


def test_a_huge_value_is_no_objective() -> None:
    blown_up = trial(9, [0.9, 0.8, 1e154, -1e154])
    assert (blown_up.objective, blown_up.best_epoch) == (0.8, 2)
