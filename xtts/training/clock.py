"""How long training took, evaluations left out."""

from __future__ import annotations

import time

import numpy as np
import torch


class Clock:
    """Training time without evaluation; on a GPU measured by events, so that nothing waits for the device."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._spans: list[tuple[object, object]] = []
        self._begun = self._now()

    def _now(self) -> object:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def pause(self) -> None:
        """Stop counting."""
        self._spans.append((self._begun, self._now()))

    def resume(self) -> None:
        """Continue counting."""
        self._begun = self._now()

    def mark(self) -> int:
        """The place in `seconds` of the time counted so far."""
        return len(self._spans) - 1

    def seconds(self) -> list[float]:
        """Time counted up to each pause, in seconds; waits for the device."""
        if self._cuda:
            torch.cuda.synchronize()
        lengths = [
            begun.elapsed_time(ended) / 1000.0 if self._cuda else ended - begun  # type: ignore[attr-defined,operator]
            for begun, ended in self._spans
        ]
        return np.cumsum(lengths).tolist()  # type: ignore[no-any-return]
