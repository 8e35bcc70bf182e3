"""One vector of parameters is the same training as many tensors of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xtts.training.adamw import AdamW
from xtts.training.flat_parameters import FlatParameters


def made_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.LayerNorm(7), nn.Linear(7, 3), nn.Linear(3, 1))


def losses(model: nn.Module) -> torch.Tensor:
    given = torch.randn(11, 5, generator=torch.Generator().manual_seed(1))
    return model(given).square().mean() * 30.0


@pytest.mark.parametrize("clip", [None, 0.5, 1e6])
def test_steps_are_those_of_a_model_of_single_tensors(clip):
    plain, model = made_model(), made_model()
    flat = FlatParameters(model)
    optimisers = [torch.optim.AdamW(given, lr=1e-2) for given in (plain.parameters(), [flat.flat])]
    for _ in range(8):
        optimisers[0].zero_grad()
        losses(plain).backward()
        norm = nn.utils.clip_grad_norm_(plain.parameters(), clip or float("inf"))
        losses(model).backward()
        torch.testing.assert_close(flat.collect_gradients(clip), norm)
        for optimiser in optimisers:
            optimiser.step()
    for one, other in zip(plain.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_a_parameter_that_took_no_part_has_a_gradient_of_zero():
    model = made_model()
    flat = FlatParameters(model)
    model[0](torch.ones(1, 5)).sum().backward()
    flat.collect_gradients(None)
    assert flat.flat.grad is not None
    first = sum(parameter.numel() for parameter in model[0].parameters())
    assert flat.flat.grad[:first].all()
    assert not flat.flat.grad[first:].any()


def test_gradients_do_not_add_up_over_steps():
    model = made_model()
    flat = FlatParameters(model)
    norms = []
    for _ in range(2):
        losses(model).backward()
        norms.append(float(flat.collect_gradients(None)))
    assert norms[0] == norms[1]


def test_weights_that_are_loaded_reach_the_vector():
    model, other = made_model(), nn.Sequential(*made_model())
    flat = FlatParameters(model)
    for parameter in other.parameters():
        nn.init.constant_(parameter, 3.0)
    model.load_state_dict(other.state_dict())
    assert (flat.flat == 3.0).all()


def test_an_update_is_torchs_own_to_the_bit():
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.linspace(-1.0, 1.0, 1003)) for _ in range(2))
    optimiser = AdamW(ours, betas=(0.9, 0.98), epsilon=1e-8, weight_decay=0.1)
    reference = torch.optim.AdamW([theirs], lr=1.0, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.1, fused=True)
    for step in range(1, 6):
        ours.grad = theirs.grad = torch.randn(1003)
        reference.param_groups[0]["lr"] = 0.01 * step
        reference.step()
        optimiser.step(0.01 * step)
        assert torch.equal(ours, theirs)


def test_an_optimiser_goes_on_from_its_state_and_leaves_that_alone():
    first, second = (nn.Parameter(torch.ones(7)) for _ in range(2))
    one, other = (AdamW(given, betas=(0.9, 0.98), epsilon=1e-8, weight_decay=0.1) for given in (first, second))
    first.grad = second.grad = torch.arange(7.0)
    one.step(0.1)
    state = one.state_dict()
    other.load_state_dict(state)
    second.data.copy_(first.data)
    one.step(0.1)
    assert not torch.equal(one.state_dict()["mean"], other.state_dict()["mean"])
    other.step(0.1)
    assert torch.equal(first, second)
