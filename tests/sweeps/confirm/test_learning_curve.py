"""A curve is read from a trial's reports, and refuses evaluations in an order that is none."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sweeps.confirm.learning_curve import Curve, Evaluation


def test_updates_that_do_not_rise_are_refused() -> None:
    one = Evaluation(10, 1, 1, 1, 0.5)
    with pytest.raises(ValueError, match="after the one before"):
        Curve((one, one))
    with pytest.raises(ValueError, match="above 0"):
        Curve((replace(one, updates=0),))


def test_reports_give_their_evaluations_and_what_a_retry_repeats_replaces_the_first_time() -> None:
    def report(epoch: int, *values: float) -> dict[str, object]:
        places = [epoch - 1 + share for share in ((0.25, 0.5, 1.0) if epoch == 1 else (1.0,))]
        inner = [
            {"updates": 58 * place, "epoch": place, "audio_seconds": 1.0, "seconds": 1.0, "objective": value}
            for place, value in zip(places, values, strict=True)
        ]
        return {"event": "report", "epoch": epoch, "objective": values[-1], "evaluations": inner}

    read = Curve.from_reports([report(1, 0.8, 0.7, 0.6), report(2, 0.55), report(3, 0.5), report(2, 0.56)], "budget")
    assert [one.objective for one in read.evaluations] == [0.8, 0.7, 0.6, 0.56]
    assert read.ended == "budget"


def test_a_diverged_report_without_its_updates_leaves_the_curve_before_it_alone() -> None:
    read = Curve.from_reports(
        [{"epoch": 1, "updates": 58, "objective": 0.7}, {"epoch": 2, "objective": math.nan}], "diverged"
    )
    assert [one.objective for one in read.evaluations] == [0.7]
