"""`diagnose`: what it prints, its exit codes, and the logs that it finds below a path."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tensorboardX import SummaryWriter

import sweeps.run.run
from sweeps.common.errors import RequestError
from sweeps.external.readers.stream import LogStream
from tests import ROOT
from tests.sweeps.builders import toy_request, trial
from tests.xtts.made_speech import write_ljspeech
from xtts_sweep import api
from xtts_sweep.cli.diagnose import STOP
from xtts_sweep.diagnosis.diagnose import diagnose
from xtts_sweep.diagnosis.page import isolated
from xtts_sweep.main import main

EPOCHS, STEPS = 12, 10


def coqui(folder: Path, *, weight: float = 45.0, broken: bool = False, start: int = 0, epochs: int = EPOCHS) -> Path:
    """Events as Coqui's trainer writes them for VITS: weighted terms, un-normalised mel."""
    rng, writer = np.random.default_rng(0), SummaryWriter(str(folder), filename_suffix=f".{start}")
    for step in range(start * STEPS, epochs * STEPS):
        mel = (0.9 + 1.6 * math.exp(-step / 40)) * (1 + 0.03 * rng.standard_normal())
        kl = 2 + 10 * math.exp(-step / 20)
        mel = math.nan if broken and step > 60 else mel
        for name, value in (("loss_mel", weight * mel), ("loss_kl", kl), ("loss_1", weight * mel + kl + 3)):
            writer.add_scalar(f"TrainIterStats/{name}", value, step)
        if step % STEPS == STEPS - 1:
            val = 0.95 + 1.6 * math.exp(-step / 40) + 0.002 * rng.standard_normal()
            writer.add_scalar("EvalStats/avg_loss_mel", weight * val, step)
            writer.add_scalar("EvalStats/avg_loss_1", weight * val + kl, step)
    writer.close()
    (folder / "config.json").write_text(json.dumps({"mel_loss_alpha": weight, "kl_loss_alpha": 1.0}, indent=2))
    return folder


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, object]]:
    code = main(["diagnose", *map(str, arguments), "--json"])
    out = capsys.readouterr().out
    return code, json.loads(out)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coqui(tmp_path_factory.mktemp("healthy"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coqui(tmp_path_factory.mktemp("broken"), broken=True)


def test_the_json_has_the_promised_form(capsys: pytest.CaptureFixture[str], healthy: Path) -> None:
    code, found = printed(capsys, healthy)
    assert code == 0
    assert found["state"] == "healthy"
    assert found["epochs"] == EPOCHS
    assert found["best"]["epoch"] == EPOCHS  # type: ignore[index]
    assert found["mapped"]["val/mel"] == "EvalStats/avg_loss_mel"  # type: ignore[index]
    assert found["unmapped"] == []
    for finding in found["findings"]:  # type: ignore[attr-defined]
        assert {"code", "severity", "text", "todo"} <= set(finding)


def test_a_run_with_nan_ends_with_code_three(capsys: pytest.CaptureFixture[str], broken: Path) -> None:
    code, found = printed(capsys, broken)
    assert code == STOP == 3
    assert found["state"] == "stop"
    first = found["findings"][0]  # type: ignore[index]
    assert first["code"] == "not_finite"
    assert "step 61" in first["text"]


@pytest.mark.parametrize(("lang", "words"), [("en", "Units, not bad learning"), ("fa", "یکای اندازه‌گیری")])
def test_the_story_of_184_is_told_from_a_console_log(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, lang: str, words: str
) -> None:
    log = tmp_path / "train.log"
    lines = [f"step {10 * at}: loss: {184.0 * (0.3 + 0.7 * math.exp(-at / 9)):.2f}" for at in range(30)]
    log.write_text("\n".join(lines))
    assert main(["diagnose", str(log), "--set", "mel_loss_weight=35", "--lang", lang]) == 0
    lines = capsys.readouterr().out.splitlines()
    (at,) = [at for at, line in enumerate(lines) if " 184" in line]
    assert "35" in lines[at]
    assert "5.26" in lines[at]
    assert words in lines[at + 1]
    assert "35" in lines[at + 2], "divide by the weight"


def test_weights_do_not_change_the_comparison_of_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    coqui(tmp_path / "plain")
    coqui(tmp_path / "half", weight=22.5)
    _, found = printed(capsys, tmp_path)
    other = found["runs"][0]  # type: ignore[index]
    assert {found["name"], other["name"]} == {"plain", "half"}
    assert found["best"]["value"] == pytest.approx(other["best"]["value"], rel=1e-5)  # type: ignore[index]


def test_a_resumed_run_is_put_together(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    coqui(tmp_path / "first", epochs=8)
    coqui(tmp_path / "second", start=6)
    for at, path in enumerate(sorted(tmp_path.rglob("*tfevents*"))):
        path.rename(tmp_path / f"events.out.tfevents.{100 + at}.host")
    shutil.copy(tmp_path / "first" / "config.json", tmp_path)
    _, found = printed(capsys, tmp_path)
    (resumed,) = [one for one in found["findings"] if one["code"] == "resumed"]  # type: ignore[attr-defined]
    assert "step 60" in resumed["text"]
    assert found["epochs"] == EPOCHS


def test_checkpoints_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    coqui(tmp_path)
    for name in ("checkpoint_119.pth", "checkpoint_59.pth", "best_model_59.pth", "best_model.pth"):
        (tmp_path / name).write_bytes(b"x")
    _, found = printed(capsys, tmp_path)
    assert found["best"]["file"].endswith("checkpoint_119.pth")  # type: ignore[index]
    assert "best_differs" in {one["code"] for one in found["findings"]}  # type: ignore[attr-defined]


def test_epoch_means_of_coqui_count_the_epochs(tmp_path: Path) -> None:
    writer = SummaryWriter(str(tmp_path))
    for step in (*range(4), 4):
        writer.add_scalar("TrainIterStats/loss_mel", 90 - step, step)
        writer.add_scalar("TrainIterStats/loss_kl", 9 - step, step)
    for epoch in range(1, 9):
        writer.add_scalar("TrainEpochStats/avg_loss_mel", 90 - epoch, 2 * epoch)
        writer.add_scalar("EvalStats/avg_loss_mel", 80 + abs(epoch - 5), 2 * epoch)
    writer.close()
    found = diagnose(tmp_path)
    assert (found.trainer, found.epochs) == ("coqui", 8)
    assert found.best is not None
    assert (found.best.step, found.best.epoch) == (10, 5)
    assert found.run.epoch_at(9) == 5, "within the fifth epoch"


def test_lightning_and_transformers_logs_are_read(tmp_path: Path) -> None:
    table = tmp_path / "lightning" / "metrics.csv"
    table.parent.mkdir()
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "step", "train_mel", "train_kl", "loss_g", "val_mel", "val_loss"])
        for step in range(100):
            at = 0.5 + math.exp(-step / 30)
            writer.writerow([step // 10, step, at, 1.0, 45 * at + 1, at if step % 10 == 9 else "", ""])
    (table.parent / "hparams.yaml").write_text("model: {c_mel: 45, c_kl: 1.0}\n")
    piper = diagnose(table.parent)
    assert piper.mapped["val/mel"] == "val_mel"
    assert piper.epochs == 10
    assert piper.run.weights == {"mel": 45.0, "kl": 1.0}
    for count in (50, 100):
        folder = tmp_path / "hf" / f"checkpoint-{count}"
        folder.mkdir(parents=True)
        rows = [{"step": step, "epoch": step / 10, "loss": 3 - step / 50} for step in range(0, count, 5)]
        rows += [{"step": step, "epoch": step / 10, "eval_loss": 3 - step / 50} for step in range(10, count, 10)]
        (folder / "trainer_state.json").write_text(
            json.dumps({"log_history": sorted(rows, key=lambda row: row["step"])})
        )
    resumed = tmp_path / "resumed" / "metrics.csv"
    resumed.parent.mkdir()
    resumed.write_text("epoch,step,train_mel\n" + "".join(f"{5 + at // 10},{50 + at},1.0\n" for at in range(50)))
    assert diagnose(resumed).epochs == 10, "Lightning counts from 0, also where the log begins with epoch 5"
    state = diagnose(tmp_path / "hf")
    assert state.best is not None
    assert state.best.step == 90
    assert (state.epochs, state.best.epoch) == (10, 9)
    assert not state.others


def test_keras_folders_of_train_and_validation_are_one_run(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        writer = SummaryWriter(str(tmp_path / split))
        for epoch in range(8):
            writer.add_scalar("epoch_loss", 2 - epoch / 10, epoch)
        writer.close()
    found = diagnose(tmp_path)
    assert found.mapped == {"train/loss": "train/epoch_loss", "val/loss": "validation/epoch_loss"}


def test_given_names_come_first_and_a_wrong_one_is_an_error(healthy: Path) -> None:
    found = diagnose(healthy, names={"val/mel": "EvalStats/avg_loss_1"})
    assert found.mapped["val/mel"] == "EvalStats/avg_loss_1"
    with pytest.raises(RequestError, match="the log has no tag absent"):
        diagnose(healthy, names={"val/mel": "absent"})


def test_a_spec_names_tags_and_weights(tmp_path: Path, healthy: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "name: mine\nparams: {mel_loss_alpha: {}}\nreport: {objective: EvalStats/avg_loss_mel / mel_loss_alpha}\n"
    )
    found = diagnose(healthy, trainer=str(spec))
    assert found.trainer == "mine"
    assert found.best is not None
    assert (found.best.name, round(found.best.value, 1)) == ("val/objective", 1.0)


def test_logs_that_say_nothing_are_unknown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "empty.log").write_text("nothing here\n")
    code, found = printed(capsys, tmp_path / "empty.log")
    assert (code, found["state"], found["best"]) == (0, "unknown", None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent"], "no such file or folder"),
        (["."], "no training log found"),
        (["log.csv", "--trainer", "nobody"], "expected auto, a spec file or one of coqui"),
        (["log.csv", "--trainer", "absent.yaml"], "cannot be read as a spec"),
        (["log.csv", "--map", "val/mel"], "expected NAME=VALUE"),
        (["log.csv", "--map", "bogus=loss"], "--map bogus: expected train/TERM"),
        (["log.csv", "--set", "mel_loss_weight=big"], "--set mel_loss_weight=big: expected a number"),
        (["log.csv", "--set", "mel_wheight=2"], "--set mel_wheight: no rule uses it; known are mel_loss_alpha"),
        (["log.csv", "--wandb"], "has no run-*.wandb next to its log"),
        (["log.csv", "-o", "absent/page.html"], "cannot be written"),
    ],
)
def test_a_wrong_request_is_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "log.csv":
        (tmp_path / "log.csv").write_text("step,loss\n1,2\n2,1\n3,1\n")
    assert main(["diagnose", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("lang", ["en", "fa"])
def test_the_page_stands_alone(tmp_path: Path, broken: Path, lang: str) -> None:
    page = tmp_path / "page.html"
    main(["diagnose", str(broken), "-o", str(page), "--lang", lang])
    text = page.read_text(encoding="utf-8")
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("<polyline") > 6
    assert 'class="event"' in text


def test_options_and_code_stay_from_left_to_right_within_persian() -> None:
    assert isolated("با --map val/mel=TAG بدهید") == 'با <bdi dir="ltr">--map val/mel=TAG</bdi> بدهید'
    assert isolated("`check DIR` <b>") == '<bdi dir="ltr">`check DIR`</bdi> &lt;b&gt;'


def test_follow_ends_with_code_three_when_the_run_breaks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xtts_sweep.cli import diagnose as cli

    log = tmp_path / "train.log"
    log.write_text("".join(f"step {at}: loss: {2 - at / 50:.3f}\n" for at in range(40)))
    looks = iter([40, 41])

    def train(seconds: float) -> None:
        if next(looks) == 40:
            with log.open("a") as file:
                file.write("".join(f"step {at}: loss: nan\n" for at in range(40, 50)))

    monkeypatch.setattr(cli.time, "sleep", train)
    assert main(["diagnose", str(log), "--follow"]) == STOP
    states = [line for line in capsys.readouterr().out.splitlines() if " after " in line and "epochs" in line]
    assert len(states) == 2


def test_a_followed_log_is_read_on_and_a_replaced_one_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    plain = LogStream._lines

    def counted(stream: LogStream, final: bool) -> Iterator[str]:
        for line in plain(stream, final):
            read.append(1)
            yield line

    monkeypatch.setattr(LogStream, "_lines", counted)
    log, followed = tmp_path / "train.log", {}  # type: ignore[var-annotated]
    lines = [f"step {at}: loss: {2 - at / 50:.3f}\n" for at in range(40)]
    for count, content in ((30, lines[:30]), (40, lines), (40, [f"new {line}" for line in lines])):
        before = len(read)
        log.write_text("".join(content))
        found = diagnose(log, followed=followed)
        took = len(read) - before
        assert found.as_dict() == diagnose(log).as_dict()
        assert took == {30: 30, 40: 10}[count] or content is not lines
    log.write_text("".join(lines[:12]))
    assert diagnose(log, followed=followed).as_dict() == diagnose(log).as_dict()


def test_a_closed_pipe_ends_the_command_quietly(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("".join(f"step {at}: loss: {'nan' if at > 20 else 2}\n" for at in range(40)))
    command = [sys.executable, str(ROOT / "run_sweep.py"), "diagnose", str(log)]
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (STOP, b"")


def test_with_the_data_skill_and_health_are_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, healthy: Path
) -> None:
    speech = write_ljspeech(tmp_path / "speech", 30)
    assert main(["diagnose", str(healthy), "--data", str(speech)]) in (0, STOP)
    out = capsys.readouterr().out
    assert "always predicting the mean frame" in out
    assert "ln-mel       mean" in out
    assert main(["diagnose", str(healthy), "--data", str(tmp_path / "absent")]) == 2


def test_a_run_of_this_program_is_diagnosed_trial_by_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [trial(1, [0.7, 0.6, math.nan], "diverged"), trial(2, [0.8, 0.7, 0.65])]
    config = toy_request(tmp_path)
    monkeypatch.setattr(sweeps.run.run, "read_run", lambda folder: SimpleNamespace(records=records, config=config))
    (tmp_path / "trials.jsonl").touch()
    (tmp_path / "sweep.yaml").touch()
    found = diagnose(tmp_path)
    assert (found.trainer, found.name, found.best.epoch) == ("xtts-sweep", "t0001", 2)  # type: ignore[union-attr]
    assert found.state == "stop"
    assert found.findings[0].code == "diverged"
    (other,) = found.others
    assert (other.name, other.state, other.epochs) == ("t0002", "healthy", 3)
    assert any("best first" in line for line in found.lines())
    with pytest.raises(RequestError, match="is a run of this program"):
        diagnose(tmp_path, settings={"mel_loss_weight": 35.0})


def test_an_objective_that_is_maximised_is_best_where_it_is_highest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [replace(trial(number, values), mode="max") for number, values in ((1, [5.0, 6.0, 7.0]), (2, [8.0, 9.0]))]
    config = toy_request(tmp_path)
    monkeypatch.setattr(sweeps.run.run, "read_run", lambda folder: SimpleNamespace(records=records, config=config))
    (tmp_path / "trials.jsonl").touch()
    (tmp_path / "sweep.yaml").touch()
    found = diagnose(tmp_path)
    assert (found.name, found.best.epoch, found.best.value) == ("t0002", 2, 9.0)  # type: ignore[union-attr]
    assert "worsened_after_best" not in {one.code for run in (found, *found.others) for one in run.findings}

    log, spec = tmp_path / "theirs" / "log.csv", tmp_path / "spec.yaml"
    log.parent.mkdir()
    log.write_text("step,score\n" + "".join(f"{step},{step / 10}\n" for step in range(1, 13)))
    spec.write_text("name: mine\nmode: max\nreport: {objective: score}\n")
    found = diagnose(log, trainer=str(spec))
    assert found.best is not None
    assert (found.best.value, found.state) == (1.2, "healthy")


def test_the_python_call_is_the_command(tmp_path: Path, healthy: Path) -> None:
    found = api.diagnose(healthy, settings={"mel_loss_weight": 45})
    assert found.as_dict() == diagnose(healthy).as_dict()
    with_data = api.diagnose(healthy, data=str(write_ljspeech(tmp_path / "speech", 30)))
    assert with_data.run.mean_frame_error is not None
