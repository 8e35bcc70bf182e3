"""The average of the weights: what it covers, and that training never notices it."""

from __future__ import annotations

import pytest
import torch

from xtts.training.averaging import WeightAverage


def averaged(share: float, updates: int) -> float:
    """The average of weights that are the number of the update."""
    flat = torch.zeros(3)
    average = WeightAverage(flat, share)
    for update in range(1, updates + 1):
        flat.fill_(float(update))
        average.update(update)
    return float(average.vector[0])


@pytest.mark.parametrize("updates", [200, 2000])
def test_the_average_covers_the_same_share_of_the_updates_however_many_there_were(updates: int) -> None:
    behind = 1 - averaged(0.05, updates) / updates
    assert behind == pytest.approx(0.05, rel=0.2)


def test_the_first_updates_and_a_share_of_0_are_the_weights_themselves() -> None:
    assert averaged(0.05, 10) == 10
    assert averaged(0.0, 500) == 500


def test_the_model_computes_with_the_average_only_inside_the_block() -> None:
    flat = torch.zeros(2)
    average = WeightAverage(flat, 0.5)
    for update, value in enumerate((8.0, 8.0, 4.0), start=1):
        flat.fill_(value)
        average.update(update)
    inside = float(average.vector[0])
    assert 4.0 < inside < 8.0
    with average.in_place():
        assert float(flat[0]) == inside
    assert float(flat[0]) == 4.0


def test_a_checkpoint_without_an_average_begins_one_at_its_weights() -> None:
    flat = torch.ones(2)
    average = WeightAverage(flat, 0.05)
    flat.fill_(3.0)
    average.load_state_dict({})
    assert float(average.vector[0]) == 3.0
    average.load_state_dict({"weights": torch.full((2,), 5.0)})
    assert float(average.vector[0]) == 5.0
    assert float(flat[0]) == 3.0
