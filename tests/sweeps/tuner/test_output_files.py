"""trials.csv and best_config.yaml: what a person reads."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
import yaml

from sweeps.common.errors import SweepFailed
from sweeps.run.best_config import write_best_config
from sweeps.run.trials_csv import write_trials_csv
from sweeps.trials.record import TrialRecord, records_from_events
from tests.sweeps.builders import trial, trial_events

COLUMNS = ["mel_loss_weight", "kl_loss_weight", "gradient_clip_norm"]
DOCUMENTED = """
trial_id role status stop_reason seed mel_loss_weight kl_loss_weight gradient_clip_norm epochs objective best_epoch
val_next text_use loss_first loss_last loss_max clip_fraction loss_clip_fraction grad_norm_p50 kl_last
epochs_to_target epochs_to_75 epochs_to_50 audio_seconds_to_target seconds_to_target censored_at censor_reason
speedup seconds slot
"""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def reporting() -> TrialRecord:
    started, *_ = trial_events(1, [])
    reports = [
        {"event": "report", "trial_id": "t0001", "time": 1.0, "epoch": epoch, "objective": objective} | more
        for epoch, objective, more in (
            (1, 0.9, {"val/next": 0.8, "loss_first": 5.0, "loss_last": 3.0, "loss_max": 6.0, "train/kl": 0.3}),
            (2, 0.5, {"val/next": 0.4, "loss_first": 2.9, "loss_last": 2.0, "loss_max": 9.0, "text_use": 0.1}),
            (3, 0.6, {"val/next": 0.7, "loss_first": 1.9, "loss_last": 1.0, "loss_max": 2.0, "seconds": 12.5}),
        )
    ]
    return records_from_events([started, *reports])[0]


def test_the_csv_has_the_documented_columns_in_their_order(tmp_path: Path) -> None:
    write_trials_csv(tmp_path / "trials.csv", [trial(1, [0.5])], COLUMNS)
    (row,) = rows(tmp_path / "trials.csv")
    assert list(row)[: len(DOCUMENTED.split())] == DOCUMENTED.split()


def test_each_metric_comes_from_the_epoch_that_it_speaks_of(tmp_path: Path) -> None:
    write_trials_csv(tmp_path / "trials.csv", [reporting()], COLUMNS)
    (row,) = rows(tmp_path / "trials.csv")
    expected = {"objective": "0.5", "best_epoch": "2", "val_next": "0.4", "text_use": "0.1", "loss_first": "5.0"}
    expected |= {"loss_last": "1.0", "loss_max": "9.0", "kl_last": "", "seconds": "12.5", "status": "running"}
    assert {key: row[key] for key in expected} == expected


def test_speed_is_measured_against_the_default(tmp_path: Path) -> None:
    def learning(number: int, objectives: list[float], origin: str, status: str = "finished") -> TrialRecord:
        events = trial_events(number, objectives, status, origin=origin)
        more = {"mean_frame_error": 1.0, "audio_seconds": 100.0, "seconds": 10.0}
        reports = [
            {**event, **{key: value * event["epoch"] for key, value in more.items()}, "mean_frame_error": 1.0}
            if event["event"] == "report"
            else event
            for event in events
        ]
        return records_from_events(reports)[0]

    default = learning(1, [0.8, 0.6, 0.5, 0.5, 0.5, 0.5], "default")
    faster = learning(2, [0.55, 0.5, 0.5, 0.5, 0.5, 0.5], "sobol")
    stopped = learning(3, [0.9, 0.8], "sobol", "stopped")
    write_trials_csv(tmp_path / "trials.csv", [default, faster, stopped], COLUMNS)
    one, two, three = rows(tmp_path / "trials.csv")
    assert float(one["speedup"]) == 1.0
    assert 2.0 < float(one["epochs_to_target"]) < 3.0
    assert float(one["audio_seconds_to_target"]) == pytest.approx(100 * float(one["epochs_to_target"]))
    assert float(one["seconds_to_target"]) == pytest.approx(10 * float(one["epochs_to_target"]))
    assert two["epochs_to_target"] == "" or float(two["epochs_to_target"]) < float(one["epochs_to_target"])
    assert (three["epochs_to_target"], three["censored_at"], three["censor_reason"]) == ("", "2.0", "rung")


def test_no_cell_is_taken_for_a_formula(tmp_path: Path) -> None:
    record = trial(1, [0.5], "failed", reason='=HYPERLINK(1)\n, "x"')
    write_trials_csv(tmp_path / "trials.csv", [record], COLUMNS)
    assert rows(tmp_path / "trials.csv")[0]["stop_reason"] == '\'=HYPERLINK(1)\n, "x"'


def test_the_best_config_is_a_training_section_with_its_provenance(tmp_path: Path) -> None:
    path = tmp_path / "best_config.yaml"
    write_best_config(path, trial(3, [0.9, 0.4]), {"learning_rate": 1e-4}, {"run": "mine"})
    content = yaml.safe_load(path.read_text())
    assert content["training"] == {"mel_loss_weight": 1.3, "kl_loss_weight": 1.0, "gradient_clip_norm": 0.5}
    assert content["verdict"] == "unconfirmed"
    assert content["fixed"] == {"learning_rate": 1e-4}
    provenance = content["provenance"]
    assert (provenance["trial_id"], provenance["objective"], provenance["best_epoch"]) == ("t0003", 0.4, 2)
    assert "  mel_loss_weight: 1.3\n" in path.read_text()


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write anywhere")
def test_a_read_only_folder_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SweepFailed, match="Permission denied"):
        write_trials_csv(tmp_path / "trials.csv", [], COLUMNS)


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trials.csv"
    write_trials_csv(path, [trial(1, [0.5])], COLUMNS)
    before = path.read_bytes()

    def full(self: Path, *args: object, **kwargs: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(SweepFailed, match=r"trials.csv: cannot be written: No space left on device"):
        write_trials_csv(path, [trial(1, [0.4])], COLUMNS)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["trials.csv"]
