"""The average of the weights over the last updates: a lower objective, and less noise between evaluations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class WeightAverage:
    """An exponential moving average of a flat vector of weights, over a fixed share of the updates made so far.

    The time constant grows with the training (Karras et al. 2024, equation 6, with gamma = 1 / share - 1): a trial
    needs no plan of its length, and at a rung the average covers the same share as at the end.
    """

    def __init__(self, flat: Tensor, share: float) -> None:
        """`share` 0: no average, the weights as they are."""
        self._flat = flat
        self._share = share
        self._average = flat.clone() if share else flat

    def update(self, updates: int) -> None:
        """Take in the weights after so many updates."""
        if self._share:
            self._average.lerp_(self._flat, min(1.0, 1.0 / (self._share * updates)))

    @property
    def vector(self) -> Tensor:
        """The averaged weights, in the order of the flat vector."""
        return self._average

    @property
    def averages(self) -> bool:
        """Whether the averaged weights are others than the raw ones."""
        return self._share > 0

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model computes with the averaged weights; the raw ones come back afterwards."""
        if not self._share:
            yield
            return
        raw = self._flat.clone()
        self._flat.copy_(self._average)
        try:
            yield
        finally:
            self._flat.copy_(raw)

    def state_dict(self) -> dict[str, object]:
        """The averaged weights; nothing where there is no average."""
        return {"weights": self._average} if self._share else {}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Load a state_dict; a checkpoint from before there was an average begins one at its weights."""
        if self._share:
            self._average.copy_(torch.as_tensor(state["weights"]) if "weights" in state else self._flat)
