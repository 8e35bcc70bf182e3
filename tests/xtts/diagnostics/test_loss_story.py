"""The story of the printed loss: its bands, the signs of success, and the table before and after."""

from __future__ import annotations

import math

from tests.xtts.diagnostics.curves import curve
from xtts.diagnostics import loss_story as stories


def test_the_measured_losses_are_compared_with_the_bands_of_the_story() -> None:
    rows = stories.measured_in_bands(curve((0.6,) * 8, loss=[20.0, 16.0, 12.0, 6.0, 9.0, 4.0, 1.0, 0.2]))
    assert [(row.first_epoch, row.last_epoch) for row in rows] == [(1, 2), (3, 4), (5, 6), (7, 8)]
    assert [(row.lowest, row.highest) for row in rows] == [(16, 20), (6, 12), (4, 9), (0.2, 1)]
    assert [row.inside for row in rows] == [True, True, False, False]
    assert [row.inside for row in stories.measured_in_bands([])] == [None] * 4


def test_the_signs_of_success_are_marked_one_by_one() -> None:
    assert stories.success_signs(curve()) == stories.Signs(True, True, True, True)
    assert not stories.success_signs(curve(loss_first=240.0)).digits
    assert not stories.success_signs(curve(loss=[3.0, 2.0, 2.5, 2.0, 2.5, 2.0, 2.5])).steady_fall
    assert not stories.success_signs(curve(loss_max=[9, 90, 9, 9, 9, 9, 9])).no_jumps
    assert not stories.success_signs([*curve(), {"objective": math.nan}]).no_crash
    assert stories.success_signs([]) == stories.Signs(False, False, False, False)


def test_a_row_of_the_before_and_after_table_holds_start_worst_spike_objective_and_lost_steps() -> None:
    row = stories.story_row(
        curve(loss_first=[239.0] + [1.0] * 6, loss_max=[300.0] + [2.0] * 6, train__loss_clip_fraction=0.5)
    )
    assert (row.loss_first, row.loss_max, row.objective, row.zero_gradient_share) == (239.0, 300.0, 0.561, 0.5)
    assert stories.story_row([]) == stories.StoryRow(None, None, None, None)
