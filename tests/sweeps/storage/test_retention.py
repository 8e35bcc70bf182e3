"""best/ holds the best's weights, and what the default has to compare with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sweeps.run.folder import RunFolder
from sweeps.storage.checkpoint import BEST, LAST, Checkpoint, save_checkpoint
from sweeps.storage.checkpoint_store import LocalCheckpointStore
from sweeps.storage.retention import Compared, export_best, tidy_checkpoints
from sweeps.trials.record import TrialRecord
from tests.toy_trainer import ToyTrainer


class ComparedToy(ToyTrainer):
    """A toy that leaves a word compared what is exported."""

    def export_compared(self, folder: Path, who: str) -> None:
        (folder / f"{who}.txt").write_text(f"as the {who} says it", "utf-8")


def ended(trial_id: str, objective: float, origin: str = "sobol") -> TrialRecord:
    report = {"event": "report", "trial_id": trial_id, "epoch": 1, "objective": objective}
    return TrialRecord(
        trial_id, "trial", 1, {"mel_loss_weight": objective}, origin=origin, reports=(report,), status="finished"
    )


def with_weights(folder: RunFolder, *records: TrialRecord) -> None:
    for record in records:
        trainer = ComparedToy(ToyTrainer.default_params(), "", 1)
        for name in (BEST, LAST):
            save_checkpoint(folder.checkpoints / record.trial_id / name, Checkpoint(trainer.state_dict(), {}))


def test_the_default_stands_next_to_the_best(tmp_path: Path) -> None:
    folder, best, default = RunFolder(tmp_path), ended("t0002", 0.3), ended("t0001", 0.5, "default")
    with_weights(folder, best, default)
    params = ToyTrainer.default_params()
    assert (
        export_best(
            folder,
            LocalCheckpointStore(folder.checkpoints),
            best,
            ComparedToy,
            params,
            "",
            compared=Compared("default", default, params),
        )
        is None
    )
    assert (folder.best / "default.txt").read_text("utf-8") == "as the default says it"
    assert export_best(folder, LocalCheckpointStore(folder.checkpoints), best, ComparedToy, params, "") is None
    assert not (folder.best / "default.txt").exists()
    assert (
        export_best(
            folder,
            LocalCheckpointStore(folder.checkpoints),
            default,
            ComparedToy,
            params,
            "",
            compared=Compared("best", best, params),
        )
        is None
    )
    assert (folder.best / "best.txt").read_text("utf-8") == "as the best says it"


def test_weights_of_the_best_three_and_the_default_stay_and_no_others(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    records = [ended("t0001", 0.9, "default"), *(ended(f"t000{n}", n / 10) for n in range(2, 8))]
    with_weights(folder, *records)
    for record in records:
        tidy_checkpoints(LocalCheckpointStore(folder.checkpoints), records, record)
    kept = sorted(path.parent.name for path in folder.checkpoints.glob(f"*/{BEST}"))
    assert kept == ["t0001", "t0002", "t0003", "t0004"]
    assert not list(folder.checkpoints.glob(f"*/{LAST}"))


def test_weights_of_whoever_may_continue_stay(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    better = [ended(f"t000{n}", n / 10) for n in range(1, 5)]
    unfinished = [replace(ended("t0008", 0.9), status="budget"), replace(ended("t0009", 0.9), status=None)]
    with_weights(folder, *better, *unfinished)
    tidy_checkpoints(LocalCheckpointStore(folder.checkpoints), [*better, *unfinished], better[-1])
    assert sorted(path.parent.name for path in folder.checkpoints.glob(f"*/{LAST}"))[-2:] == ["t0008", "t0009"]
    assert not (folder.checkpoints / "t0004").exists()
