"""How much disk a sweep may need, and whether that is true of one that ran."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.run.resources import Resources
from sweeps.storage.checkpoint import Checkpoint, save_checkpoint
from sweeps.storage.disk_use import DiskUse, disk_estimate
from tests.sweeps.builders import toy_request
from tests.toy_trainer import ToyTrainer
from xtts.trainer import XttsTrainer

PLAN = Resources(concurrent=2, threads=1, cpus_per_trial=1.0, gpus_per_trial=0.0, cores=2, gpus=0)


def test_checkpoints_do_not_grow_with_the_trials_but_records_do(tmp_path: Path) -> None:
    few, many = (disk_estimate(toy_request(tmp_path, trials=trials), PLAN, 10_000_000) for trials in (16, 1000))
    assert few.checkpoints == many.checkpoints == 130_000_000
    assert many.records > 50 * few.records
    wide = disk_estimate(toy_request(tmp_path, trials=16), replace(PLAN, concurrent=8), 10_000_000)
    assert wide.checkpoints == 310_000_000


def test_it_is_told_in_one_line(tmp_path: Path) -> None:
    assert str(DiskUse(130_000_000, 2_000_000)) == "132.0 MB at most: 130.0 MB of checkpoints, 2.0 MB of records"
    unknown = disk_estimate(toy_request(tmp_path), PLAN, ToyTrainer.checkpoint_bytes({}))
    assert unknown.checkpoints is None
    assert "does not say" in str(unknown)


@pytest.mark.parametrize("model", ["tiny", "small", "base"])
def test_the_size_of_a_checkpoint_is_told_without_building_the_model(model: str, tmp_path: Path) -> None:
    from xtts.training.settings import Settings
    from xtts.training.training import build_model

    size = XttsTrainer.checkpoint_bytes({"model": model})
    assert size is not None
    weights = build_model(Settings.of({"model": model}), 40, seed=1).state_dict()
    save_checkpoint(
        tmp_path / "weights", Checkpoint({"model": weights, "moments": [weights, weights], "average": weights}, {})
    )
    assert size == pytest.approx((tmp_path / "weights").stat().st_size, rel=0.02)
