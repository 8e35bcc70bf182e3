"""Where a trial trains and how precisely: the device, the types it computes in, and memory that the process keeps."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from functools import lru_cache

import torch

from xtts.training.settings import Settings

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEPT_BYTES, _LARGEST_KEPT_BYTES = 256 << 20, 32 << 20


@dataclass(frozen=True)
class Placement:
    """A device, the type of its parameters, and whether it computes in bfloat16 where that is enough."""

    device: torch.device
    dtype: torch.dtype
    bfloat16: bool

    @classmethod
    def of(cls, settings: Settings) -> Placement:
        """As the settings ask; this process keeps freed memory where it trains on a CPU."""
        gpu = settings.device == "auto" and torch.cuda.is_available()
        device = torch.device("cuda" if gpu else "cpu" if settings.device == "auto" else settings.device)
        if device.type == "cpu":
            keep_memory_mapped()
        # Cards before Ampere imitate bfloat16, slower than float32.
        own = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        dtype = torch.float64 if settings.precision == "float64" else torch.float32
        return cls(device, dtype, settings.precision == "auto" and own)

    def autocast(self) -> torch.autocast:
        """The precision that the model's losses are computed in."""
        return torch.autocast("cuda", torch.bfloat16, enabled=self.bfloat16)


@lru_cache(maxsize=1)
def keep_memory_mapped() -> bool:
    """Let glibc keep up to 256 MiB of freed memory, in pieces of up to 32 MiB; False where the C library is another.

    A training step asks again for what the one before it gave back. By itself glibc hands memory back after each step,
    and the system clears every page anew for the next one.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)) and bool(mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES))
