"""What is tried next: the default, Sobol, the model; never one config twice; the same again after a resume."""

from __future__ import annotations

import math

import pytest

from sweeps.search.acquisition import suggest
from sweeps.search.sampler import Sampler, cohort_size
from sweeps.space.limits import NO_LIMITS
from sweeps.space.space_file import load_space, space_from_mapping
from sweeps.trials.record import TrialRecord, records_from_events
from tests.sweeps.builders import LIMITS, trial, trial_events

SPACE = load_space("safe_weights")


def objective(params: dict[str, object]) -> float:
    mel, kl = float(str(params["mel_loss_weight"])), float(str(params["kl_loss_weight"]))
    return 0.5 + 0.1 * math.log(mel / 2) ** 2 + 0.05 * math.log(kl / 0.8) ** 2


def search(space_name: str, trials: int, seed: int = 1, cohort: int | None = None) -> list[TrialRecord]:
    space = load_space(space_name)
    sampler = Sampler(space, LIMITS, seed=seed, cohort=cohort_size(trials) if cohort is None else cohort)
    records: list[TrialRecord] = []
    for number in range(1, trials + 1):
        proposal = sampler.propose(number, records)
        if proposal is None:
            break
        events = trial_events(
            number, [objective(dict(proposal.config.params))], params=proposal.config.params, origin=proposal.origin
        )
        events[0] = {**events[0], "coordinates": proposal.config.coordinates}
        records += records_from_events(events)
    return records


def test_the_default_comes_first_then_sobol_then_the_model() -> None:
    records = search("safe_weights", 12)
    assert [record.origin for record in records] == ["default"] + ["sobol"] * 4 + ["model"] * 7
    assert records[0].params == {"mel_loss_weight": 2.5, "kl_loss_weight": 1.0, "gradient_clip_norm": 0.5}


@pytest.mark.parametrize("name", ["safe_weights", "balance", "with_learning_rate"])
def test_no_config_is_proposed_twice_and_all_are_safe(name: str) -> None:
    records = search(name, 14)
    assert len({record.identity for record in records}) == 14
    assert all(LIMITS.hold(record.params) for record in records)


def test_the_model_does_better_than_the_cohort_before_it() -> None:
    records = search("safe_weights", 16)
    assert min(r.objective for r in records if r.origin == "model") < min(
        r.objective for r in records if r.origin == "sobol"
    )


def test_a_proposal_depends_on_the_records_alone() -> None:
    records = search("safe_weights", 10)
    for number in (1, 3, 8, 10):
        fresh = Sampler(SPACE, LIMITS, seed=1, cohort=cohort_size(10))
        proposal = fresh.propose(number, records[: number - 1])
        assert proposal is not None
        assert proposal.config.params == records[number - 1].params


def test_another_seed_gives_another_cohort() -> None:
    assert search("safe_weights", 4, seed=1)[1].params != search("safe_weights", 4, seed=2)[1].params


def test_a_space_that_is_used_up_proposes_nothing() -> None:
    space = space_from_mapping({"parameters": {"a": {"values": [1, 2, 3], "default": 2}}}, "here")
    sampler = Sampler(space, NO_LIMITS, seed=1, cohort=8)
    records: list[TrialRecord] = []
    while (proposal := sampler.propose(len(records) + 1, records)) is not None:
        records.append(trial(len(records) + 1, [0.5 + len(records)], params=proposal.config.params))
    assert sorted(int(str(record.params["a"])) for record in records) == [1, 2, 3]


def test_controls_are_proposed_in_their_order_and_then_no_more() -> None:
    space = load_space("before_after")
    sampler = Sampler(space, LIMITS, seed=1, cohort=0)
    proposals = [sampler.propose(number, []) for number in range(1, len(space.trials) + 2)]
    assert [p.config if p else None for p in proposals] == [*space.trials, None]
    assert all(p.origin == "control" for p in proposals if p)


def test_the_cohort_is_about_half_of_the_trials_up_to_a_cap() -> None:
    assert {trials: cohort_size(trials) for trials in (1, 2, 4, 16, 100)} == {1: 0, 2: 0, 4: 1, 16: 4, 100: 4}
    assert {trials: cohort_size(trials, 7) for trials in (4, 16, 19, 100)} == {4: 1, 16: 7, 19: 9, 100: 9}


@pytest.mark.parametrize("count", [5, 12, 25])
def test_a_small_space_is_tried_to_the_last_config_and_none_twice(count: int) -> None:
    values = list(range(count))
    space = space_from_mapping(
        {"parameters": {"a": {"values": values, "default": 2}, "b": {"min": 1, "max": 2, "default": 1}}}, "here"
    )
    sampler = Sampler(space, NO_LIMITS, seed=1, cohort=4)
    records: list[TrialRecord] = []
    while (proposal := sampler.propose(len(records) + 1, records)) is not None:
        a, b = (int(str(proposal.config.params[name])) for name in ("a", "b"))
        end = 0.5 + (a - count // 2) ** 2 + b
        records.append(trial(len(records) + 1, [end], params=proposal.config.params))
    assert len({record.identity for record in records}) == len(records) == 2 * count
    best = min(range(2 * count), key=lambda n: records[n].objective or 0.0)
    assert best < max(count, 8)  # the model goes to the good ones first


def test_the_model_keeps_away_from_where_trials_diverged() -> None:
    space = space_from_mapping({"parameters": {"a": {"min": 0.0, "max": 1.0, "default": 0.5}}}, "here")
    records = [trial(n, [1.0 - a], params={"a": a}) for n, a in enumerate([0.1, 0.3, 0.5, 0.7], 1)]
    records += [trial(n, [math.nan], "diverged", params={"a": a}) for n, a in enumerate([0.85, 0.9, 0.95, 1.0], 5)]
    for number in range(9, 13):
        config = suggest(space, NO_LIMITS, records, seed=1, number=number)
        assert config is not None
        assert float(str(config.params["a"])) < 0.85


def test_the_model_waits_for_full_length_trials() -> None:
    records = [trial(1, [0.9, 0.5]), *(trial(n, [0.8], "stopped") for n in range(2, 7))]
    assert suggest(SPACE, LIMITS, records, seed=1, number=7) is None
    proposal = Sampler(SPACE, LIMITS, seed=1, cohort=2).propose(7, records)
    assert proposal is not None
    assert proposal.origin == "sobol"


def test_running_trials_are_not_suggested_again() -> None:
    records = search("safe_weights", 9)
    first = suggest(SPACE, LIMITS, records, seed=1, number=10)
    assert first is not None
    pending = trial(10, [], None, params=first.params)
    second = suggest(SPACE, LIMITS, [*records, pending], seed=1, number=11)
    assert second is not None
    assert second.identity != first.identity
