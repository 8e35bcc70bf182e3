"""`diagnose`: runs that were resumed into further folders, that crashed, or whose weights a sweep deleted."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tensorboardX import SummaryWriter

from tests.xtts_sweep.test_diagnose import EPOCHS, coqui, printed
from xtts_sweep.diagnosis.crash import crash_in
from xtts_sweep.diagnosis.diagnose import diagnose

PIPER = """\
Epoch 0: 100%|##########| 4/4 [00:08<00:00,  0.49it/s, v_num=0]
Traceback (most recent call last):
  File "/venv/lib/python3.11/runpy.py", line 196, in _run_module_as_main
    return _run_code(code, main_globals, None,
  File "/venv/lib/lightning/pytorch/callbacks/model_checkpoint.py", line 352, in on_validation_end
    raise MisconfigurationException(m)
lightning.fabric.utilities.exceptions.MisconfigurationException: `ModelCheckpoint(monitor='val_mos')` could not find it
"""
KEYS = "Traceback (most recent call last):\n  File 'a.py', line 1\nKeyError: 'x'\n"


def codes(path: Path) -> set[str]:
    return {one.code for one in diagnose(path).findings}


def test_a_run_that_goes_on_in_further_folders_is_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names = [f"voice-November-{day}-2026_09+00AM-0000000" for day in (26, 27, 28)]
    for name, (start, epochs) in zip(names, ((0, 6), (4, 8), (8, EPOCHS)), strict=True):
        coqui(tmp_path / name, start=start, epochs=epochs)
        (tmp_path / name / f"checkpoint_{10 * epochs - 1}.pth").write_bytes(b"x")
    code, found = printed(capsys, tmp_path)
    assert code == 0
    assert "runs" not in found
    assert (found["name"], found["epochs"]) == (names[-1], EPOCHS)
    texts = {one["code"]: one["text"] for one in found["findings"]}  # type: ignore[attr-defined]
    assert ", ".join(names) in texts["continued_in_folders"]
    assert "step 40" in texts["resumed"], "where the second folder goes back"
    assert found["best"]["file"].endswith("checkpoint_119.pth")  # type: ignore[index]
    whole = diagnose(coqui(tmp_path / "whole"))
    assert len(diagnose(tmp_path / names[-1]).run.curves["val/mel"]) == 4, "one folder that is named is judged alone"
    joined = {one.name: one for one in (diagnose(tmp_path), *diagnose(tmp_path).others)}[names[-1]]
    assert len(joined.run.curves["train/mel"]) == len(whole.run.curves["train/mel"])


def test_a_resume_after_the_first_epoch_is_found_in_epoch_means(tmp_path: Path) -> None:
    """Steps as Coqui's trainer logged them in a sweep that was killed three times, two updates an epoch."""
    for name, steps in {
        "t-November-27-2026_09": [2],
        "t-November-27-2026_10": [4, 6, 8],
        "t-November-27-2026_11": [8],
    }.items():
        writer = SummaryWriter(str(tmp_path / name))
        for step in steps:
            writer.add_scalar("TrainEpochStats/avg_loss_mel", 90.0 - step, step)
        writer.close()
    found = diagnose(tmp_path)
    assert len(found.run.folders) == 3
    assert found.run.curves["train/mel"].steps.tolist() == [2, 4, 6, 8]
    assert "resumed" in {one.code for one in found.findings}, "step 8 was logged twice"


def test_trainings_that_begin_anew_or_with_other_weights_stay_apart(tmp_path: Path) -> None:
    coqui(tmp_path / "version_0", epochs=6)
    coqui(tmp_path / "version_1")
    assert len(diagnose(tmp_path).others) == 1, "both begin at step 0"
    coqui(tmp_path / "version_2", start=5, weight=22.5)
    assert len(diagnose(tmp_path).others) == 2, "another weight"
    shutil.move(tmp_path / "version_2", tmp_path / "other_2")
    coqui(tmp_path / "other_3", start=EPOCHS + 5, epochs=EPOCHS + 9)
    assert len(diagnose(tmp_path).others) == 3, "another name, and steps that none of them reached"


def test_a_followed_run_is_read_on_in_its_new_folder(tmp_path: Path) -> None:
    coqui(tmp_path / "version_0", epochs=6)
    followed: dict[tuple[Path, ...], object] = {}
    assert diagnose(tmp_path, followed=followed).epochs == 6  # type: ignore[arg-type]
    coqui(tmp_path / "version_1", start=6)
    for _ in range(2):
        found = diagnose(tmp_path, followed=followed)  # type: ignore[arg-type]
        assert (found.epochs, len(found.others)) == (EPOCHS, 0)


def test_a_crash_in_the_output_is_named_with_its_last_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    coqui(tmp_path / "lightning_logs" / "version_0")
    (tmp_path / "run.log").write_text(PIPER)
    code, found = printed(capsys, tmp_path)
    assert code == 3
    (crash,) = [one for one in found["findings"] if one["code"] == "crashed"]  # type: ignore[attr-defined]
    assert crash["text"].endswith("`ModelCheckpoint(monitor='val_mos')` could not find it")
    assert str(tmp_path / "run.log") in crash["todo"]
    assert found["epochs"] == EPOCHS, "the curves are still those of the events"


def test_a_program_that_crashes_before_it_logs_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.err").write_text(KEYS)
    assert codes(tmp_path) >= {"crashed", "too_little_logged"}


def test_losses_on_standard_error_are_read_where_there_are_no_others(tmp_path: Path) -> None:
    """Python's logging writes there; a cluster's queue keeps it in a file of its own."""
    lines = "".join(f"Epoch {at}/9 STEP: {at} train loss: {9 - at / 9} | val_mel: 1.{at}\n" for at in range(9))
    (tmp_path / "slurm-7.err").write_text(lines + KEYS)
    (tmp_path / "slurm-7.out").write_text("module load cuda\n")
    for path in (tmp_path, tmp_path / "slurm-7.err"):
        found = diagnose(path)
        assert {"train/loss", "val/mel"} <= found.mapped.keys()
        assert found.run.crash is not None


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        (PIPER, "error"),
        (KEYS, "error"),
        ("[rank0]: " + "\n[rank0]: ".join(KEYS.splitlines()), "error"),
        (KEYS.replace("KeyError: 'x'", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate"), "memory"),
        (KEYS.replace("KeyError: 'x'", "KeyboardInterrupt"), "interrupted"),
        ("train.sh: line 3: 4711 Killed                  python train.py\n", "killed"),
        (KEYS + "\nDuring handling of the above exception, another exception occurred:\n\n" + PIPER, "error"),
        (KEYS + "Epoch 3 STEP: 40 train loss: 1.5\n", None),
        ("KeyError: 'x'\n", None),
        ("loss: 3.0\nKilled the old process first? no\nAttributeError: in a message\n", None),
        ("", None),
    ],
)
def test_what_ends_a_program_is_told_from_what_it_survives(tmp_path: Path, output: str, kind: str | None) -> None:
    file = tmp_path / "out.log"
    file.write_text(output)
    found = crash_in([file, tmp_path / "absent"], file.stat().st_mtime)
    assert (found.kind if found else None) == kind


def test_a_crash_that_was_resumed_since_is_over(tmp_path: Path) -> None:
    (tmp_path / "run.log").write_text(KEYS)
    coqui(tmp_path / "version_0")
    assert "crashed" in codes(tmp_path)
    os.utime(tmp_path / "run.log", (1e9, 1e9))
    assert "crashed" not in codes(tmp_path)


def test_printed_copies_of_a_log_are_no_runs_of_their_own(tmp_path: Path) -> None:
    """As MyXTTS writes them: events, a log file in another folder, and what the shell caught; all steps are 0."""
    logs = coqui(tmp_path / "checkpoints" / "tensorboard", weight=1.0)
    mel = diagnose(logs).run.curves["val/mel"].values
    (tmp_path / "logs").mkdir()
    lines = [f"Current step: 0\nEpoch {at + 1}/12\nValidation: mel_loss: {one:.4g}" for at, one in enumerate(mel)]
    for file in (tmp_path / "logs" / "trial.log", tmp_path / "out.txt"):
        file.write_text("\n".join(lines))
    found = diagnose(tmp_path)
    assert (found.name, [one.name for one in found.others]) == ("checkpoints/tensorboard", [])
    printed_alone = diagnose(tmp_path / "logs")
    assert printed_alone.best is not None
    assert (printed_alone.best.step, printed_alone.epochs) == (EPOCHS - 1, EPOCHS), "counted, as no step is printed"
    (tmp_path / "logs" / "trial.log").write_text("\n".join(lines).replace("mel_loss: 1", "mel_loss: 2"))
    assert len(diagnose(tmp_path).others) == 1, "another training"


def test_weights_that_a_sweep_deleted_are_not_asked_for(tmp_path: Path) -> None:
    logs = coqui(tmp_path / "run" / "trials" / "t0001" / "out")
    assert "best_without_file" in codes(logs)
    for name in ("sweep.yaml", "trials.jsonl"):
        (tmp_path / "run" / name).write_text("")
    assert "best_kept_by_sweep" in codes(logs)


def test_weights_are_found_above_a_log_that_has_its_own_folder(tmp_path: Path) -> None:
    logs = coqui(tmp_path / "run" / "tensorboard")
    (tmp_path / "run" / "checkpoint_119_model.weights.h5").write_bytes(b"x")
    (tmp_path / "run" / "other").mkdir()
    (tmp_path / "run" / "other" / "checkpoint_118.pth").write_bytes(b"x")
    found = diagnose(logs)
    assert [Path(one.path).name for one in found.run.checkpoints] == ["checkpoint_119_model.weights.h5"]
    assert found.best is not None
    assert found.best.file == str(tmp_path / "run" / "checkpoint_119_model.weights.h5")


def test_many_gradient_tags_are_counted_and_doubles_named(tmp_path: Path) -> None:
    writer = SummaryWriter(str(tmp_path))
    for step in range(20):
        writer.add_scalar("grad_norm/grad_2.0_norm_total", 2.0, step)
        for layer in range(134):
            writer.add_scalar(f"grad_norm/grad_2.0_norm/encoder.{layer}", 1.0, step)
        for tag in ("loss_d", "train_disc", "train_mel", "zoo"):
            writer.add_scalar(tag, 1 / (1 + step), step)
    writer.close()
    found = diagnose(tmp_path)
    assert found.mapped["grad_norm"] == "grad_norm/grad_2.0_norm_total"
    assert found.same == {"train_disc": "train/discriminator"}
    lines = "\n".join(found.lines())
    assert "not recognised: zoo, and 134 gradient tags (--map NAME=TAG)" in lines
    assert "train_disc (train/discriminator)" in lines
    assert len(json.loads(json.dumps(found.as_dict()))["unmapped"]) == 136
