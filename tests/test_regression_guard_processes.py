"""A sweep starts one worker a slot, however many trials it has."""

from __future__ import annotations

import pytest

from sweeps import sweep
from sweeps.budget import Budget
from sweeps.request import SweepRequest
from sweeps.space import load_space


@pytest.mark.slow
def test_all_trials_of_a_sweep_share_one_process_a_slot(tmp_path):
    request = SweepRequest(
        name="processes",
        output=tmp_path,
        space=load_space("safe_weights"),
        trainer="tests.pid_trainer:PidTrainer",
        data="",
        budget=Budget(9, 3, None),
        concurrent=2,
        confirm_seeds=0,
    )
    result = sweep.run(request)
    pids = {report["pid"] for record in result.records for report in record.reports}
    assert len(result.records) == 9
    assert len(pids) <= 2
