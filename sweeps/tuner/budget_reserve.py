"""How much of a budget the search leaves to the runs that confirm it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from sweeps.trials.record import TrialRecord

FEWEST_TRIALS = 3
"""So many trials, the default and two others, end before time is kept: without them nothing can be confirmed."""

SAFETY = 1.1


def epoch_seconds(records: Sequence[TrialRecord]) -> float | None:
    """Wall clock of an epoch: the median over the trials that have ended; None before there is one."""
    known = [
        (record.ended - record.started) / record.epochs
        for record in records
        if record.ended is not None and record.started is not None and record.epochs and record.ended > record.started
    ]
    return statistics.median(known) if known else None


def room_for_a_trial(
    records: Sequence[TrialRecord], *, seconds_left: float | None, epochs: int, confirm_runs: int, concurrent: int
) -> bool:
    """Whether a trial of `epochs` epochs that starts now would leave time for `confirm_runs` full-length runs.

    Without a budget, without runs to come, and before enough trials have ended there always is.
    """
    if seconds_left is None or not confirm_runs:
        return True
    each = epoch_seconds(records)
    ended = sum(record.status is not None for record in records)
    if each is None or ended < FEWEST_TRIALS:
        return True
    rounds = -(-confirm_runs // concurrent)
    return seconds_left > SAFETY * each * epochs * (1 + rounds)
