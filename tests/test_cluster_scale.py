"""The simulated cluster: every trial comes to an end, and each second of each slot is accounted for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.cluster_model import Cluster, ModelConfig
from benchmarks.simulated_driver import simulate


class Lists:
    """A driver that hands out so many trials, stops every third at epoch 1, and never gives one up."""

    def __init__(self, trials: int, epochs: int, seconds: float = 0.0) -> None:
        self.reports: Counter[str] = Counter()
        self.lost_trials = 0
        self._names = [f"t{number}" for number in range(trials)]
        self._epochs, self._seconds = epochs, seconds

    def next_trial(self, now: float) -> tuple[str | None, float]:
        """The next of them."""
        return (self._names.pop() if self._names else None), self._seconds

    def report(self, trial_id: str, epoch: int, now: float) -> tuple[bool, float]:
        """Whether that was all."""
        self.reports[trial_id] += 1
        assert epoch == self.reports[trial_id], "an epoch was lost or counted twice"
        return epoch == self._epochs or int(trial_id[1:]) % 3 == 0, self._seconds

    def lost(self, trial_id: str, now: float) -> tuple[bool, float]:
        """It goes on."""
        self.lost_trials += 1
        return True, self._seconds


def test_trials_go_on_from_their_last_epoch_when_nodes_fail() -> None:
    driver = Lists(60, 5)
    cluster = Cluster(ModelConfig(16, 5, failures_per_node_hour=5.0), driver, seed=1)
    cluster.run()
    assert driver.lost_trials > 5
    assert Counter(driver.reports.values()) == {5: 40, 1: 20}
    spent = cluster.until_now()
    assert spent.lost > 0
    assert spent.down > 0
    whole = spent.kept + spent.lost + spent.starting + spent.waiting + spent.down
    assert whole == pytest.approx(16 * cluster.now)


def test_slots_wait_for_a_driver_that_is_slower_than_they_are() -> None:
    quick, slow = (Cluster(ModelConfig(8, 5, failures_per_node_hour=0.0), Lists(40, 5, s), seed=1) for s in (0.0, 20.0))
    quick.run()
    slow.run()
    assert slow.now == pytest.approx(20.0 * (40 + 26 * 5 + 14), rel=0.1), "it answers one after the other"
    assert slow.until_now().kept / slow.now < 0.6 * quick.until_now().kept / quick.now


def test_the_sweeps_own_parts_bring_all_trials_of_a_simulated_cluster_to_an_end(tmp_path: Path) -> None:
    shape = ModelConfig(8, 3, slots_per_node=2, failures_per_node_hour=2.0)
    driver, cluster = simulate(shape, 16, 1, 0.0, tmp_path)
    records = driver.journal.records
    assert len(records) == 16
    assert {record.status for record in records} <= {"finished", "stopped"}
    assert cluster.node_failures > 0
    assert sum(len(tenth.reports) for tenth in driver.tenths) == sum(len(record.reports) for record in records)
