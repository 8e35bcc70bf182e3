"""AdamW over one vector of parameters, by the fused operation that torch.optim.AdamW calls.

torch.optim itself imports torch.compile's machinery, 800 modules, as soon as an optimiser is made: 1.6 s of processor
time in every worker, for nothing that a trial uses.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn


class AdamW:
    """Decoupled weight decay (Loshchilov and Hutter 2019); the same bits as torch.optim.AdamW(fused=True)."""

    def __init__(
        self, parameters: nn.Parameter, *, betas: tuple[float, float], epsilon: float, weight_decay: float
    ) -> None:
        self._parameters = parameters
        self._betas, self._epsilon, self._weight_decay = betas, epsilon, weight_decay
        self._steps = torch.zeros((), dtype=torch.float32, device=parameters.device)
        self._mean = torch.zeros_like(parameters.detach())
        self._square = torch.zeros_like(parameters.detach())

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """One update with the gradient stored in the parameter."""
        gradient = self._parameters.grad
        if gradient is None:
            raise RuntimeError("an update without a gradient")
        self._steps += 1
        torch._fused_adamw_(
            [self._parameters],
            [gradient],
            [self._mean],
            [self._square],
            [],
            [self._steps],
            lr=learning_rate,
            beta1=self._betas[0],
            beta2=self._betas[1],
            weight_decay=self._weight_decay,
            eps=self._epsilon,
            amsgrad=False,
            maximize=False,
        )

    def state_dict(self) -> dict[str, object]:
        """Its own tensors (not copies): later updates change them."""
        return {"steps": self._steps, "mean": self._mean, "square": self._square}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Load a state_dict; the given tensors are copied."""
        for ours, name in ((self._steps, "steps"), (self._mean, "mean"), (self._square, "square")):
            ours.copy_(torch.as_tensor(state[name]))
