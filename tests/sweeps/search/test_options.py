"""What a user asks of the search: requirements, beliefs and the memory of earlier runs."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from sweeps.common.errors import RequestError
from sweeps.search.gain import GainRule
from sweeps.search.memory import Memory, agreement, first_from_memory, memory_of
from sweeps.search.options import NO_OPTIONS, SearchOptions, search_options, search_options_from_mapping
from sweeps.search.prior import prior_from_text
from sweeps.search.requirement import requirement_from_text
from sweeps.search.sampler import Sampler
from sweeps.space.limits import NO_LIMITS
from sweeps.space.space_file import space_from_mapping
from sweeps.trials.record import TrialRecord, best_record, records_from_events
from tests.sweeps.builders import trial_events

SQUARE = space_from_mapping(
    {
        "parameters": {
            "a": {"min": 0.0, "max": 1.0, "default": 0.5},
            "b": {"distribution": "log_uniform_values", "min": 0.01, "max": 1.0, "default": 0.1},
        }
    },
    "square",
)


def bowl(a: float, b: float) -> float:
    return 0.5 + (a - 0.2) ** 2 + 0.1 * (np.log10(b) + 0.5) ** 2


def search(
    trials: int,
    options: SearchOptions = NO_OPTIONS,
    end: Callable[[float, float], float] = bowl,
    text_use: Callable[[float, float], float] | None = None,
    seed: int = 1,
) -> list[TrialRecord]:
    """A search without stopping, in which each trial has two epochs."""
    sampler = Sampler(SQUARE, NO_LIMITS, seed=seed, cohort=min((trials - 1) // 2, 4), options=options)
    records: list[TrialRecord] = []
    for number in range(1, trials + 1):
        proposal = sampler.propose(number, records)
        assert proposal is not None
        a, b = (float(str(proposal.config.params[name])) for name in ("a", "b"))
        value = float(end(a, b))
        events = trial_events(number, [value + 0.2, value], params=proposal.config.params, origin=proposal.origin)
        for event in events:
            if event["event"] == "report" and text_use is not None:
                event["text_use"] = float(text_use(a, b))
                event["feasible"] = all(requirement.met(event) for requirement in options.requirements)
        records += records_from_events(events)
    return records


def test_a_requirement_is_a_metric_a_comparison_and_a_number() -> None:
    requirement = requirement_from_text(" val/kl<=1e-1 ")
    assert str(requirement) == "val/kl <= 0.1"
    assert [requirement.met({"val/kl": value}) for value in (0.05, 0.1, 0.2, None, float("nan"), True)] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert not requirement.met({})
    for wrong in (
        "text_use",
        "text_use == 1",
        "1 < text_use",
        "a >= b",
        "a >= nan",
        "__import__('os') > 1",
        "a > 1 > 0",
    ):
        with pytest.raises(RequestError, match="expected METRIC >= NUMBER"):
            requirement_from_text(wrong)


def test_the_search_keeps_to_where_the_requirement_is_met_and_the_best_meets_it() -> None:
    options = search_options(SQUARE, require=["text_use >= 0.4"])
    records = search(18, options, text_use=lambda a, b: a)
    best = best_record(records)
    assert best is not None
    assert float(str(best.params["a"])) >= 0.4
    assert min(record.objective or 9.0 for record in records) < (best.objective or 0.0)
    later = [float(str(record.params["a"])) for record in records[8:]]
    assert np.mean([a >= 0.3 for a in later]) >= 0.8
    assert best.objective == pytest.approx(bowl(0.4, 10**-0.5), abs=0.02)


def test_where_nothing_is_feasible_there_is_no_best() -> None:
    options = search_options(SQUARE, require=["text_use >= 2"])
    records = search(9, options, text_use=lambda a, b: a)
    assert best_record(records) is None
    assert max(float(str(record.params["a"])) for record in records[5:]) > 0.9  # it looks where it is nearest


def test_of_the_epochs_that_meet_the_requirement_the_best_counts() -> None:
    events = trial_events(1, [0.9, 0.7, 0.5])
    for event, feasible in zip((e for e in events if e["event"] == "report"), (True, True, False), strict=True):
        event["feasible"] = feasible
    record = records_from_events(events)[0]
    assert (record.objective, record.best_epoch, record.feasible) == (0.7, 2, True)


def test_a_belief_moves_the_first_design_and_fades() -> None:
    options = search_options(SQUARE, prior=["a=0.9:0.05", "b=0.3"])
    records = search(24, options)
    assert records[0].params == {"a": 0.5, "b": 0.1}
    assert [record.origin for record in records[1:5]] == ["prior", "sobol", "prior", "sobol"]
    assert all(abs(float(str(r.params["a"])) - 0.9) < 0.2 for r in records if r.origin == "prior")
    best = best_record(records)
    assert best is not None
    assert abs(float(str(best.params["a"])) - 0.2) < 0.1  # it was wrong, and is overruled


def test_a_right_belief_finds_the_best_sooner() -> None:
    def needed(records: list[TrialRecord]) -> int:
        return next((n for n, record in enumerate(records, 1) if (record.objective or 9) < 0.505), 99)

    options = search_options(SQUARE, prior=["a=0.2", "b=0.3"])
    assert needed(search(20, options)) <= needed(search(20))


def test_a_belief_that_cannot_be_is_refused() -> None:
    for text, part in {
        "c=1": "did you mean|known: a, b",
        "a=2": "outside 0.0 to 1.0",
        "a": "expected a=VALUE",
        "a=0.5:x": "expected a=VALUE",
        "a=0.5:0": "the sd must be above 0",
    }.items():
        with pytest.raises(RequestError, match=part):
            prior_from_text(text, SQUARE)
    with pytest.raises(RequestError, match="a: given more than once"):
        search_options(SQUARE, prior=["a=0.1", "a=0.2"])


def test_options_come_back_from_the_file_of_the_run() -> None:
    options = search_options(SQUARE, gain_percent=2.0, require=["x > 1"], prior=["b=0.3:0.1"])
    assert search_options_from_mapping(options.as_dict(), SQUARE) == options
    assert search_options_from_mapping({}, SQUARE) == SearchOptions()


def remembered(end: Callable[[float, float], float]) -> Memory:
    return memory_of({"old": search(24, end=end, seed=5)}, SQUARE)


def test_the_best_of_an_earlier_run_comes_after_the_default_and_saves_trials() -> None:
    memory = remembered(lambda a, b: 3 + 2 * bowl(a + 0.03, b))
    options = SearchOptions(memory=memory)
    records = search(16, options)
    assert [record.origin for record in records[:5]] == ["default", "memory", "sobol", "sobol", "model"]
    assert min(record.objective or 9.0 for record in records[:5]) < 0.52
    agreed = agreement(memory, SQUARE, records)
    assert agreed is not None
    assert agreed.holds
    assert (agreed.rank or 0.0) > 0.5
    assert records == search(16, options)


def test_the_first_configs_from_a_memory_stand_on_both_sides_of_its_best() -> None:
    points = 0.02 + 0.97 * np.random.default_rng(3).random((30, 2))
    ends = 4 * (points[:, 0] - 0.4) ** 2 + 0.01 * (points[:, 1] - 0.5) ** 2
    memory = Memory(("old",), tuple({"a": a, "b": b} for a, b in points.tolist()), tuple(ends.tolist()))
    one, two = first_from_memory(SQUARE, NO_LIMITS, memory, count=2, seed=1)
    sides = sorted(float(str(config.params["a"])) for config in (one, two))
    assert 0.3 < sides[0] < 0.39
    assert 0.41 < sides[1] < 0.5
    (alone,) = first_from_memory(SQUARE, NO_LIMITS, memory, count=1, seed=1)
    assert float(str(alone.params["a"])) == pytest.approx(0.4, abs=0.02)
    only_default = Memory(("old",), ({"a": 0.5, "b": 0.1},) * 3, (0.0, 0.1, 0.2))
    found = first_from_memory(SQUARE, NO_LIMITS, only_default, count=2, seed=1)
    assert SQUARE.default().identity not in [config.identity for config in found]


def test_categories_stay_as_they_are_next_to_the_best_of_a_memory() -> None:
    kinds = {"k": {"values": ["p", "q", "r"], "default": "p"}, "a": {"min": 0.0, "max": 1.0, "default": 0.5}}
    space = space_from_mapping({"parameters": kinds}, "kinds")
    values = [{"k": kind, "a": place / 8} for kind in "pqr" for place in range(9)]
    ends = [abs(float(str(one["a"])) - 0.75) + (one["k"] != "q") for one in values]
    found = first_from_memory(space, NO_LIMITS, Memory(("old",), tuple(values), tuple(ends)), count=2, seed=1)
    assert [config.params["k"] for config in found] == ["q", "q"]


def test_a_misleading_memory_is_left_out() -> None:
    memory = remembered(lambda a, b: -bowl(a, b))
    records = search(20, SearchOptions(memory=memory))
    agreed = agreement(memory, SQUARE, records)
    assert agreed is not None
    assert not agreed.holds
    cold = search(20)
    assert [r.params for r in records[2:6]] == [r.params for r in cold[1:5]]  # it costs one trial
    assert min(record.objective or 9.0 for record in records) < 0.51


def test_a_memory_comes_back_from_the_file_of_the_run() -> None:
    options = search_options(SQUARE, memory=remembered(bowl))
    assert search_options_from_mapping(json.loads(json.dumps(options.as_dict())), SQUARE) == options
    assert options.memory.names == ("old",)


def test_a_run_over_parameters_is_a_memory_for_a_search_over_their_ratios() -> None:
    ratio = {"a_over_b": {"distribution": "log_uniform_values", "min": 0.001, "max": 1000.0, "default": 5.0}}
    content = {"parameters": ratio, "ratios": {"a_over_b": ["a", "b"]}, "scale": {"a": 0.5}}
    space = space_from_mapping(content, "ratios")
    memory = memory_of({"old": search(9)}, space)
    assert memory.values[0].keys() == {"a_over_b"}
    assert len(memory.observed(space)[0]) >= 7


def test_a_run_that_says_nothing_of_this_space_is_no_memory() -> None:
    other = space_from_mapping({"parameters": {"c": {"min": 0.0, "max": 1.0, "default": 0.5}}}, "other")
    with pytest.raises(RequestError, match="searched none of c"):
        memory_of({"old": search(9)}, other)
    with pytest.raises(RequestError, match="2 full-length trials"):
        memory_of({"old": search(2)}, SQUARE)


def test_a_gain_is_likely_at_first_and_not_once_the_bowl_is_known() -> None:
    records = search(26)
    rule = GainRule(0.02, 30)
    chances = [rule.chance(SQUARE, NO_LIMITS, records[:count], seed=1) for count in (5, 10, 26)]
    assert chances[0] is None
    assert (chances[1] or 0.0) >= 0.05
    assert chances[2] is not None
    assert chances[2] < 0.05
    assert chances[2] == rule.chance(SQUARE, NO_LIMITS, records, seed=1)


def test_a_search_ends_only_where_it_would_have_ended_without_its_newest_end_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chances: dict[int, float | None] = {26: 0.01, 25: 0.3}
    records = search(26)

    def chance(rule: GainRule, space: object, limits: object, given: list[TrialRecord], *, seed: int) -> float | None:
        assert given == records[: len(given)]
        return chances[len(given)]

    monkeypatch.setattr(GainRule, "_chance", chance)
    rule, found = GainRule(0.01, 30), []
    for chances[26], chances[25] in [(0.01, 0.3), (0.01, 0.02), (0.01, None), (0.4, 0.02), (None, 0.02)]:
        found.append(rule.chance(SQUARE, NO_LIMITS, records, seed=1))
    assert found == [0.3, 0.02, None, 0.4, None]


def test_where_nothing_acts_the_process_cannot_know() -> None:
    chance = np.random.default_rng(1)
    records = search(20, end=lambda a, b: 0.5 + 0.005 * float(chance.normal()))
    found = GainRule(0.01, 40).chance(SQUARE, NO_LIMITS, records, seed=1)
    assert found is None or found >= 0.05
