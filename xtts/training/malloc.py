"""Keeps freed memory in the process: a training step asks again for what the one before it gave back."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEPT_BYTES, _LARGEST_KEPT_BYTES = 256 << 20, 32 << 20


@lru_cache(maxsize=1)
def keep_memory_mapped() -> bool:
    """Let glibc keep up to 256 MiB of freed memory, in pieces of up to 32 MiB; False where the C library is another.

    By itself it hands memory back after each step, and the system clears every page anew for the next one.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)) and bool(mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES))
