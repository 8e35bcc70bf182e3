"""A trial that resumes equals one that never stopped, cooldown and time included."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from sweeps.storage.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tests.xtts.trials import comparable, parameters
from xtts.training.settings import WEIGHTINGS
from xtts.training.training import Training


def states_equal(one: object, other: object) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(states_equal(value, other[name]) for name, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(states_equal, one, other))
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return one == other


def without_time(state: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in state.items() if name != "seconds"}


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_trial_that_goes_on_from_a_file_equals_one_that_never_stopped(learnable, tmp_path, weighting):
    """Bit for bit: parameters, optimiser, counters and every figure."""
    whole, first, second = (learnable.training(weighting=weighting) for _ in range(3))
    whole.train_epoch()
    first.train_epoch()
    save_checkpoint(tmp_path / "last.safetensors", Checkpoint(first.state_dict(), {}))
    state = load_checkpoint(tmp_path / "last.safetensors").state
    assert states_equal(state, first.state_dict())
    second.load_state_dict(state)
    for _ in range(2):
        assert comparable(second.train_epoch()) == comparable(whole.train_epoch())
    assert torch.equal(parameters(second), parameters(whole))
    assert states_equal(without_time(second.state_dict()), without_time(whole.state_dict()))


def rates_of(training: Training, epochs: int) -> list[float]:
    """The learning rate of each update of so many epochs."""
    rates: list[float] = []
    step = training.optimiser.step
    training.optimiser.step = lambda rate: (rates.append(rate), step(rate))  # type: ignore[method-assign, assignment]
    for _ in range(epochs):
        training.train_epoch()
    return rates


def test_the_learning_rate_cools_down_to_0_over_the_last_part_of_the_planned_length(learnable):
    training = learnable.training(cooldown=0.5, warmup_updates=0, batch_frames=150)
    training.plan(4)
    rates = rates_of(training, 4)
    half, top = len(rates) // 2, training.settings.learning_rate
    assert rates[: half - 1] == [top] * (half - 1)
    assert all(before > after > 0 for before, after in pairwise(rates[half:]))
    assert rates[-1] < 3 * top / half


@pytest.mark.parametrize(("cooldown", "planned"), [(0.0, 2), (0.5, 0)])
def test_without_a_cooldown_or_a_known_length_the_learning_rate_is_constant(learnable, cooldown, planned):
    training = learnable.training(cooldown=cooldown, warmup_updates=0)
    training.plan(planned)
    assert set(rates_of(training, 2)) == {training.settings.learning_rate}


def test_a_trial_resumed_within_its_cooldown_equals_one_that_never_stopped(learnable):
    whole, first, second = (learnable.training(cooldown=1.0) for _ in range(3))
    for one in (whole, first, second):
        one.plan(3)
    for _ in range(2):
        whole.train_epoch()
        first.train_epoch()
    second.load_state_dict(first.state_dict())
    assert comparable(second.train_epoch()) == comparable(whole.train_epoch())
    assert torch.equal(parameters(second), parameters(whole))


def test_a_state_can_be_loaded_twice(learnable):
    """Two trials that start from one state in memory do not share it."""
    first = learnable.training()
    first.train_epoch()
    state = first.state_dict()
    ways = [learnable.training(), learnable.training()]
    for one in ways:
        one.load_state_dict(state)
    ways[0].train_epoch()
    ways[1].train_epoch()
    first.train_epoch()
    assert torch.equal(parameters(ways[0]), parameters(ways[1]))
    assert torch.equal(parameters(ways[0]), parameters(first))


def test_training_time_goes_on_too(learnable):
    first, second = learnable.training(), learnable.training()
    spent = first.train_epoch()["seconds"]
    second.load_state_dict(first.state_dict())
    metrics = second.train_epoch()
    assert metrics["seconds"] > spent > 0
    assert metrics["evaluations"][0]["seconds"] > spent
