"""Five of the kills that benchmarks/kills.py does fifty of."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.kills import KINDS, kills


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sweep_that_is_killed_and_resumed_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    tallies = kills(tmp_path, len(KINDS), seed=1)
    assert {kind: tallies[kind].kills for kind in KINDS} == dict.fromkeys(KINDS, 1)
    assert [violation for tally in tallies.values() for violation in tally.violations] == []
