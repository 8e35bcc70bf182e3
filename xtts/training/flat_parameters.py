"""A model's parameters as one vector: norm, clipping and optimiser take one operation each instead of hundreds."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FlatParameters:
    """The parameters of a model, made views of one vector in their order; the model computes as before.

    Moving the model to another device or type afterwards would part the two.
    """

    flat: nn.Parameter
    """[parameters], what the optimiser is given"""

    def __init__(self, model: nn.Module) -> None:
        self._parameters = list(model.parameters())
        self.flat = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in self._parameters]))
        for parameter, part in zip(self._parameters, self.parts(self.flat.detach()), strict=True):
            parameter.data = part

    def parts(self, vector: Tensor) -> list[Tensor]:
        """Views of such a vector with the parameters' shapes, in their order."""
        sizes = [parameter.numel() for parameter in self._parameters]
        return [part.view_as(own) for own, part in zip(self._parameters, vector.split(sizes), strict=True)]

    def collect_gradients(self, clip_norm: float | None) -> Tensor:
        """Move the gradients of a backward pass to the vector, clipped to `clip_norm`; their norm before that.

        A parameter that took no part has a gradient of zero. Clipping is torch's: by norm / (norm + 1e-6), at most 1.
        """
        gradients = []
        for parameter in self._parameters:
            gradient = parameter.grad
            gradients.append(torch.zeros_like(parameter).flatten() if gradient is None else gradient.flatten())
            parameter.grad = None
        gradient = torch.cat(gradients)
        norm: Tensor = torch.linalg.vector_norm(gradient)
        if clip_norm:
            gradient.mul_((clip_norm / (norm + 1e-6)).clamp(max=1.0))
        self.flat.grad = gradient
        return norm

    def drop_gradients(self) -> None:
        """Forget what a backward pass left, after one that did not get to its end."""
        for parameter in self._parameters:
            parameter.grad = None
        self.flat.grad = None
