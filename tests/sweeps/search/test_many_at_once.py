"""Where very many trials run at once: what the model is told, and the configs that it plans at a time."""

from __future__ import annotations

import numpy as np
import pytest

from sweeps.search.acquisition import TOLD_AT_MOST, suggest
from sweeps.search.gaussian_process import END, Observations, fit
from sweeps.search.many_at_once import PLANNED_AT_MOST, log, plan_size, suggest_several
from sweeps.search.sampler import MANY, Sampler
from sweeps.space.limits import NO_LIMITS
from sweeps.space.space import space_from_mapping
from sweeps.trials.final_values import FullLengthCurves
from sweeps.trials.record import TrialRecord, records_from_events
from tests.sweeps.builders import trial_events

LINE = space_from_mapping({"parameters": {"a": {"min": 0.0, "max": 1.0, "default": 0.5}}}, "here")


def one(number: int, a: float, epochs: int, status: str | None) -> TrialRecord:
    """A trial of four epochs with a rung at the second; the best `a` is 0.3."""
    curve = [0.5 + (a - 0.3) ** 2 + late for late in (0.3, 0.2, 0.1, 0.0)][:epochs]
    events = trial_events(number, curve, status, params={"a": a})
    rung = {"event": "rung", "trial_id": f"t{number:04d}", "epoch": 2, "value": curve[-1] if curve else 0.0}
    return records_from_events([*events, rung] if epochs >= 2 else events)[0]


def sweep_of(ended: int, running: int) -> list[TrialRecord]:
    chance = np.random.default_rng(1)
    records = [
        one(n, float(chance.random()), *((4, "finished") if n % 3 else (2, "stopped"))) for n in range(1, ended + 1)
    ]
    later = range(ended + 1, ended + running + 1)
    return records + [one(n, float(chance.random()), int(chance.integers(0, 4)), None) for n in later]


def test_the_model_is_told_of_a_bounded_number_and_of_the_best() -> None:
    records = sweep_of(600, 200)
    kept = log(records, FullLengthCurves(records))
    assert len(kept) == 3 * TOLD_AT_MOST // 2
    finished = sorted((r for r in records if r.status == "finished"), key=lambda r: r.objective or 0.0)
    assert {r.trial_id for r in finished[:20]} <= {r.trial_id for r in kept}
    others = [record for record in kept if record not in finished[: TOLD_AT_MOST // 2] and record.status is not None]
    assert np.ptp([int(record.trial_id[1:]) for record in others]) > 500
    running = sorted(r.objective for r in records if r.status is None and r.rungs and r.objective is not None)
    assert max(r.objective or 0.0 for r in kept if r.status is None) == running[TOLD_AT_MOST // 2 - 1]


def test_a_plan_holds_new_configs_near_the_best_and_no_two_alike() -> None:
    records = sweep_of(300, 400)
    plan = suggest_several(LINE, NO_LIMITS, records, FullLengthCurves(records), seed=1, number=701)
    assert len(plan) == plan_size(400) == 12
    assert len({config.identity for config in plan}) == 12
    assert not {config.identity for config in plan} & {record.identity for record in records}
    assert np.median([abs(float(str(config.params["a"])) - 0.3) for config in plan]) < 0.1
    assert plan == suggest_several(LINE, NO_LIMITS, records, FullLengthCurves(records), seed=1, number=701)
    assert plan_size(100_000) == PLANNED_AT_MOST


def test_nothing_is_planned_before_trials_have_come_to_their_end() -> None:
    records = sweep_of(0, 100)
    assert suggest_several(LINE, NO_LIMITS, records, FullLengthCurves(records), seed=1, number=101) == []
    proposal = Sampler(LINE, NO_LIMITS, seed=1, cohort=2).propose(101, records)
    assert proposal is not None
    assert proposal.origin == "sobol"


def test_up_to_a_number_of_running_trials_each_config_is_chosen_by_itself() -> None:
    records = sweep_of(100, MANY)
    proposal = Sampler(LINE, NO_LIMITS, seed=1, cohort=2).propose(165, records)
    assert proposal is not None
    assert proposal.config == suggest(LINE, NO_LIMITS, records, seed=1, number=165)


def test_beyond_it_the_proposer_hands_out_a_plan_before_it_makes_another() -> None:
    records = sweep_of(100, 128)
    sampler = Sampler(LINE, NO_LIMITS, seed=1, cohort=2)
    plan = suggest_several(LINE, NO_LIMITS, records, FullLengthCurves(records), seed=1, number=229)
    for number in range(229, 229 + len(plan) + 1):
        proposal = sampler.propose(number, records)
        assert proposal is not None
        events = trial_events(number, [], None, params=proposal.config.params)
        records = [*records, *records_from_events(events)]
        assert len(plan) == 4
        assert (proposal.config in plan) == (number < 229 + len(plan))


def test_ends_together_are_those_of_each_and_what_is_believed_takes_their_doubt_away() -> None:
    points = np.linspace(0.0, 1.0, 9)[:, None]
    fitted = fit(Observations(points, np.full(9, END), np.sin(6 * points[:, 0])))
    new = np.array([[0.06], [0.3], [0.93]])
    mean, covariance = fitted.joint_ends(new)
    assert mean == pytest.approx(fitted.ends(new)[0])
    assert np.sqrt(covariance.diagonal()) == pytest.approx(fitted.ends(new)[1])
    column = covariance[:, 2]
    after = covariance - np.outer(column, column) / (column[2] + fitted.end_noise)
    assert np.sqrt(after.diagonal()) == pytest.approx(fitted.believing(new[2:]).ends(new)[1], rel=1e-3)
