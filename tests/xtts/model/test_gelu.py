"""Our GELU is torch's tanh form, values and gradients, wherever it is asked for."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from xtts.model.gelu import gelu

GIVEN = torch.cat([torch.linspace(-12.0, 12.0, 4001), torch.tensor([0.0, 1e4, -1e4, 1e15, -1e15])])


def value_and_gradient(function, given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = given.clone().requires_grad_()
    out = function(leaf)
    out.backward(torch.cos(given))
    return out.detach(), leaf.grad


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 3e-6), (torch.float64, 1e-13)])
def test_values_and_gradients_are_torchs(dtype, near):
    given = GIVEN.to(dtype)
    ours = value_and_gradient(gelu, given)
    theirs = value_and_gradient(lambda states: F.gelu(states, approximate="tanh"), given)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=near, rtol=1e-6 if dtype == torch.float32 else 1e-13)


def test_a_value_is_the_same_with_and_without_a_gradient():
    leaf = GIVEN.clone().requires_grad_()
    with torch.no_grad():
        without = gelu(leaf)
    assert torch.equal(gelu(leaf).detach(), without)
    assert torch.equal(leaf.detach(), GIVEN)
    assert torch.equal(gelu(GIVEN), without)


def test_what_is_not_a_number_stays_so():
    assert gelu(torch.tensor([float("nan")])).isnan().all()


def test_the_gradient_is_that_of_finite_differences():
    given = torch.linspace(-4.0, 4.0, 33, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gelu, (given,))
