"""The page of very many trials is made beside the driver's work."""

from __future__ import annotations

import threading

import pytest

from sweeps.common.errors import SweepFailed
from sweeps.tuner.late_page import LatePage


def test_nobody_waits_for_a_page_and_one_is_made_at_a_time() -> None:
    go, made, late = threading.Event(), [], LatePage()

    def page() -> None:
        go.wait(10)
        made.append(1)

    late.make(page)
    late.make(page)
    assert made == []
    go.set()
    late.wait()
    assert made == [1]


def test_after_a_page_that_took_long_none_is_made_for_a_while() -> None:
    made, late = [], LatePage()
    late.make(lambda: threading.Event().wait(0.05))
    late.wait()
    late.make(lambda: made.append(1))
    late.wait()
    assert made == []


def test_what_goes_wrong_with_a_page_is_told_once() -> None:
    def full() -> None:
        raise SweepFailed("no space left")

    late = LatePage()
    late.make(full)
    with pytest.raises(SweepFailed, match="no space left"):
        late.wait()
    late.wait()
