"""Where a benchmark's own process spends its time."""

from __future__ import annotations

import cProfile
import io
import pstats
from collections.abc import Iterator
from contextlib import contextmanager

SHOWN = 60


@contextmanager
def profiled(wanted: bool, order: str) -> Iterator[None]:
    """Print the functions that took most, in `order` of "cumulative" or "tottime", where that is wanted."""
    if not wanted:
        yield
        return
    with cProfile.Profile() as profile:
        yield
    text = io.StringIO()
    pstats.Stats(profile, stream=text).sort_stats(order).print_stats(SHOWN)
    print(text.getvalue())
