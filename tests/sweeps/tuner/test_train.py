"""One full run without Ray."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sweeps.common.errors import RequestError, SweepFailed
from sweeps.tuner.train import CONFIG, RECORD, SingleRun, best_trainer, read_config, train
from tests.toy_trainer import ToyTrainer


def single(folder: Path, epochs: int = 4, **params: object) -> SingleRun:
    return SingleRun(folder, ToyTrainer, {**ToyTrainer.default_params(), **params}, str(folder), 1, epochs)


def go(run: SingleRun, epochs: int | None = None) -> object:
    """Train, interrupted after so many epochs where a number is given."""
    done: list[str] = []
    return train(run, log=done.append, stop=lambda: epochs is not None and len(done) >= epochs)


def recorded(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / RECORD).read_text("utf-8").splitlines()]


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    whole, parts = single(tmp_path / "whole"), single(tmp_path / "parts")
    best = go(whole)
    go(parts, epochs=2)
    assert [report["epoch"] for report in recorded(parts.folder)] == [1, 2]
    assert go(parts) is not None
    assert [report["objective"] for report in recorded(parts.folder)] == [
        report["objective"] for report in recorded(whole.folder)
    ]
    assert isinstance(best, dict)
    assert best["objective"] == min(float(str(report["objective"])) for report in recorded(whole.folder))


def test_a_finished_run_is_lengthened_and_its_first_epochs_stay(tmp_path: Path) -> None:
    go(single(tmp_path, epochs=2))
    first = recorded(tmp_path)
    go(single(tmp_path, epochs=5))
    assert recorded(tmp_path)[:2] == first
    assert len(recorded(tmp_path)) == 5


def test_the_folder_of_another_config_is_refused(tmp_path: Path) -> None:
    go(single(tmp_path, epochs=1))
    with pytest.raises(RequestError, match="another config"):
        go(single(tmp_path, mel_loss_weight=1.5))


def test_a_damaged_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    go(single(tmp_path, epochs=1))
    (tmp_path / "last.safetensors").write_bytes(b"torn")
    with pytest.raises(RequestError, match=r"last\.safetensors"):
        go(single(tmp_path))


def test_divergence_ends_the_run_and_keeps_what_was_before(tmp_path: Path) -> None:
    with pytest.raises(SweepFailed, match="diverged in epoch 3"):
        go(single(tmp_path, nan_at=3))
    assert [math.isfinite(float(str(one["objective"]))) for one in recorded(tmp_path)] == [True, True, False]
    assert best_trainer(single(tmp_path, nan_at=3)) is not None


def test_the_config_lies_next_to_the_record(tmp_path: Path) -> None:
    go(replace(single(tmp_path, epochs=1, mel_loss_weight=1.5), known={"letter_order": 0.8}))
    stated = yaml.safe_load((tmp_path / CONFIG).read_text("utf-8"))
    assert (stated["mel_loss_weight"], stated["seed"], stated["letter_order"]) == (1.5, 1, 0.8)


def test_a_config_is_read_from_training_and_fixed_and_unknown_names_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "best_config.yaml"
    config.write_text("training: {mel_loss_weight: 1.5}\nfixed: {learning_rate: 0.002}\n", "utf-8")
    params = read_config(config, ToyTrainer, {"kl_loss_weight": 0.7})
    assert (params["mel_loss_weight"], params["learning_rate"], params["kl_loss_weight"]) == (1.5, 0.002, 0.7)
    config.write_text("training: {mel_los_weight: 1.5}\n", "utf-8")
    with pytest.raises(RequestError, match="did you mean 'mel_loss_weight'"):
        read_config(config, ToyTrainer, {})
    config.write_text("mel_loss_weight: 1.5\n", "utf-8")
    with pytest.raises(RequestError, match="no `training:` section"):
        read_config(config, ToyTrainer, {})
