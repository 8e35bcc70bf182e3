"""What `diagnose` takes from the config next to a log: the trainer's own defaults, unread settings, the texts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.xtts.made_speech import write_ljspeech
from tests.xtts_sweep.test_diagnose import coqui
from xtts_sweep.diagnosis.diagnose import diagnose


def test_a_specs_defaults_are_what_its_trainer_is_made_for(tmp_path: Path) -> None:
    log, spec = coqui(tmp_path / "log"), tmp_path / "spec.yaml"
    spec.write_text("params: {mel_w: {key: +loss.mel_loss_alpha, default: 3}, rate: {key: optim.lr, default: 1.0e-3}}")
    (tmp_path / "log" / "config.json").write_text('{"mel_loss_alpha": 45, "optim": {"lr": "3e-5"}}')
    found = {one.code for one in diagnose(log, trainer=str(spec)).findings}
    assert {"mel_weight_far_above", "rate_below_trainers"} <= found
    of_coqui = {one.code for one in diagnose(log).findings}
    assert not {"mel_weight_far_above", "rate_below_trainers"} & of_coqui


def test_a_setting_that_the_trainer_does_not_read_is_named_and_is_no_clip(tmp_path: Path) -> None:
    with (tmp_path / "metrics.csv").open("w") as file:
        file.write("step,epoch,loss_g,train_mel,val_mel\n")
        file.writelines(f"{n},{n},{99 - n},{2 - n / 20},{2 - n / 25}\n" for n in range(12))
    (tmp_path / "hparams.yaml").write_text("c_mel: 45\ngrad_clip: 0.5\nlearning_rate: 0.0002\n")
    found = diagnose(tmp_path)
    assert found.trainer == "piper"
    assert "setting_without_effect" in {one.code for one in found.findings}
    assert (found.run.clip, found.run.rate) == (None, 2e-4)
    (tmp_path / "hparams.yaml").write_text("c_mel: 45\ngrad_clip: null\nlearning_rate: 0.0002\n")
    assert "setting_without_effect" not in {one.code for one in diagnose(tmp_path).findings}


@pytest.mark.parametrize(
    "config",
    [
        {"datasets": [{"formatter": "ljspeech", "path": "SPEECH", "meta_file_train": "metadata.csv"}]},
        {"data": {"csv_path": "SPEECH/metadata.csv", "audio_dir": "SPEECH/wavs"}},
        {"data": {"metadata_train_file": "SPEECH/metadata.csv"}},
    ],
    ids=["coqui", "piper", "myxtts"],
)
def test_texts_are_seen_where_the_config_names_them(tmp_path: Path, config: dict[str, object]) -> None:
    log = coqui(tmp_path / "log")
    lines = write_ljspeech(tmp_path / "speech", 30).joinpath("metadata.csv").read_text().splitlines()
    for speech, rows, code in (
        ("right", lines, "texts_fit"),
        ("cut", [f"clip{at:03d}|{lines[0]} {at}" for at in range(30)], "recordings_repeated"),
        ("absent", [], "texts_unknown"),
    ):
        if rows:
            shutil.copytree(tmp_path / "speech", tmp_path / speech)
            (tmp_path / speech / "metadata.csv").write_text("\n".join(rows) + "\n")
        if code == "recordings_repeated":
            for at in range(1, 30):
                shutil.copy(tmp_path / "cut/wavs/clip000.wav", tmp_path / f"cut/wavs/clip{at:03d}.wav")
        (log / "config.json").write_text(json.dumps(config).replace("SPEECH", str(tmp_path / speech)))
        found = {one.code for one in diagnose(log).findings}
        assert {one for one in found if one.startswith("texts_") or one == "recordings_repeated"} == {code}


@pytest.mark.parametrize(
    "datasets",
    [
        [{"path": "/" + "x" * 5000, "meta_file_train": "metadata.csv"}],
        [{"path": "speech", "meta_file_train": "metadata.csv"}, 3, None],
        {"path": 1},
        "none",
    ],
)
def test_a_data_set_that_cannot_be_found_leaves_the_texts_unknown(tmp_path: Path, datasets: object) -> None:
    log = coqui(tmp_path / "log", epochs=3)
    (log / "config.json").write_text(json.dumps({"datasets": datasets}))
    assert "texts_unknown" in {one.code for one in diagnose(log).findings}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, None),
        ({"mel_loss_weight": 35.0}, "mel_weight_too_large"),
        ({"learning_rate": 1e-2}, "rate_far_above"),
        ({"alignment_confidence": 0.1}, "texts_do_not_fit"),
        ({"letter_order": 0.99}, "letters_in_no_order"),
    ],
)
def test_a_log_of_the_built_in_trainer_is_judged_by_the_config_next_to_it(
    tmp_path: Path, changed: dict[str, object], code: str | None
) -> None:
    """As `train` leaves them."""
    rows = [
        {"epoch": n, "objective": 0.8 - n / 50, "val/next": 0.7 - n / 50, "val/mel": 0.45 - n / 50, "val/kl": 0.2}
        | {
            "train/mel": 0.7 - n / 50,
            "train/kl": 0.2,
            "mean_frame_error": 0.9,
            "skill": 0.1 + n / 45,
            "updates": 20 * n,
        }
        for n in range(1, 5)
    ]
    (tmp_path / "epochs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {"mel_loss_weight": 2.5, "kl_loss_weight": 1.0, "learning_rate": 1e-3, "alignment_confidence": 0.7}
    (tmp_path / "config.yaml").write_text(json.dumps({**config, "letter_order": 0.8, **changed}))
    (tmp_path / "best.safetensors").touch()
    found = diagnose(tmp_path)
    assert found.trainer == "xtts-sweep"
    assert found.best is not None
    assert found.best.file == str(tmp_path / "best.safetensors")
    assert {one.code for one in found.findings if one.severity != "note"} == ({code} if code else set())
    assert "texts_unknown" not in {one.code for one in found.findings}
    (tmp_path / "config.yaml").unlink()
    without = diagnose(tmp_path)
    assert without.state == "healthy"
    assert "texts_unknown" in {one.code for one in without.findings}
