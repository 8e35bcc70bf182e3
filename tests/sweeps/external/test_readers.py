"""Readers of training logs, on files as trainers write them: growing, cut, rewritten, deleted."""

from __future__ import annotations

import csv
import json
import math
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from tensorboardX import SummaryWriter

from sweeps.external.readers import (
    CsvReader,
    JsonLinesReader,
    PatternReader,
    Point,
    TensorBoardReader,
    WandbReader,
    find_logs,
    read_log_folder,
)
from tests.sweeps.external.event_files import append, framed, record


def values(points: list[Point]) -> list[tuple[int | None, str, float]]:
    return [(point.step, point.tag, point.value) for point in points]


def test_scalars_of_torch_are_read(tmp_path: Path) -> None:
    writer = SummaryWriter(str(tmp_path))
    writer.add_scalar("val/mel", 0.5, 1)
    writer.add_histogram("weights", np.asarray([1.0, 2.0]), 1)
    writer.close()
    (source,) = find_logs(tmp_path)
    end = time.monotonic() + 20
    while not source.points() and time.monotonic() < end:  # tensorboardX writes from a thread
        time.sleep(0.1)
    assert values(source.points()) == [(1, "val/mel", 0.5)]


def test_scalars_are_read_while_the_file_grows_and_half_a_record_waits_for_its_rest(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    append(path, record(1, {"val/mel": 0.5}))
    reader = TensorBoardReader(path)
    assert values(reader.read()) == [(1, "val/mel", 0.5)]
    last = record(2, {"val/mel": 0.25, "val/kl": math.nan}, time=7.0)
    append(path, last[:-6])
    assert reader.read() == []
    append(path, last[-6:])
    mel, kl = TensorBoardReader(path, reader.position).read()
    assert mel == Point(2, "val/mel", 0.25, 7.0)
    assert math.isnan(kl.value)


def test_scalars_of_tensorflow_2_are_tensors(tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event

    path = tmp_path / "events.out.tfevents.1"
    records = b""
    for step, packed in ((1, True), (2, False)):
        event = Event(step=step, wall_time=3.0)
        value = event.summary.value.add(tag="val_epoch/mel_loss")
        value.tensor.dtype = 1
        if packed:
            value.tensor.tensor_content = struct.pack("<f", 4.5)
        else:
            value.tensor.float_val.append(4.25)
        records += framed(event.SerializeToString())
    path.write_bytes(records)
    assert values(TensorBoardReader(path).read()) == [(1, "val_epoch/mel_loss", 4.5), (2, "val_epoch/mel_loss", 4.25)]


def test_a_row_of_csv_counts_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("\ufeffepoch,step,val_mel,note\n0,10,0.5,fine\n1,20,0.")
    reader = CsvReader(path, step="step")
    assert values(reader.read()) == [(10, "epoch", 0.0), (10, "val_mel", 0.5)]
    with path.open("a") as file:
        file.write("25,\n2,30,,\n")
    assert values(reader.read()) == [(20, "epoch", 1.0), (20, "val_mel", 0.25), (30, "epoch", 2.0)]


def test_a_csv_that_gains_a_column_is_not_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"

    def write(names: list[str], rows: list[list[object]]) -> None:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([names, *rows])

    write(["step", "train"], [[1, 9.0], [2, 8.0]])
    reader = CsvReader(path)
    assert len(reader.read()) == 4
    write(["step", "train", "val"], [[1, 9.0, ""], [2, 8.0, ""], [2, "", 0.5]])
    assert values(CsvReader(path, reader.position).read()) == [(2, "step", 2.0), (2, "val", 0.5)]


def test_a_csv_written_anew_each_epoch_yields_its_new_rows_only(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    reader = CsvReader(path)
    assert reader.read() == []
    path.write_text("epoch;val\n1;0.5\n")
    assert values(reader.read()) == [(1, "epoch", 1.0), (1, "val", 0.5)]
    path.write_text("epoch;val\n1;0.5\n2;0.4\n")
    assert values(reader.read()) == [(2, "epoch", 2.0), (2, "val", 0.4)]


def test_a_deleted_log_keeps_what_was_read_and_a_new_one_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"epoch": 1, "val": {"mel": 0.5}}\nnoise\n')
    reader = JsonLinesReader(path)
    assert values(reader.read()) == [(1, "epoch", 1.0), (1, "val/mel", 0.5)]
    path.unlink()
    assert reader.read() == []
    path.write_text('{"epoch": 2, "val": {"mel": NaN}}')
    assert reader.read() == []
    (_, mel) = reader.read(final=True)
    assert (mel.step, mel.tag) == (2, "val/mel")
    assert math.isnan(mel.value)


def test_console_output_by_named_groups_pairs_and_literals(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_bytes(
        b"epoch 3: val=0.5 kl=nan\nstep 1\rstep 2 \x1b[32mval=0.25\x1b[0m\n"
        b" | > avg_loss_mel: 101.03 (+0.0)\nValidation: {'mel': 1.5, 'kl': nan}\n"
    )
    named = PatternReader(path, r"(?:epoch (?P<epoch>\d+): )?val=(?P<val>\S+)(?: kl=(?P<kl>\S+))?").read()
    assert values(named)[:2] == [(3, "epoch", 3.0), (3, "val", 0.5)]
    assert (named[2].tag, named[3].value) == ("kl", 0.25)
    assert values(PatternReader(path, r"\| > (?P<tag>\w+): (?P<value>\S+)").read()) == [(None, "avg_loss_mel", 101.03)]
    mel, kl = PatternReader(path, r"Validation: (?P<dict>\{.*\})").read()
    assert (mel.tag, mel.value, kl.tag) == ("mel", 1.5, "kl")
    assert math.isnan(kl.value)


def test_history_of_an_offline_run_of_wandb_is_read(tmp_path: Path) -> None:
    script = (
        "import wandb\nrun = wandb.init(mode='offline', project='p')\n"
        "for step in range(3):\n    run.log({'val/mel': 1.0 / (step + 1), 'nested': {'kl': step}})\nrun.finish()\n"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    (path,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    reader = WandbReader(path)
    points = values(reader.read())
    assert (1, "val/mel", 0.5) in points
    assert (2, "nested/kl", 2.0) in points
    assert reader.read() == []


def test_the_logs_below_a_folder_are_found_by_kind(tmp_path: Path) -> None:
    append(tmp_path / "events.out.tfevents.1", record(1, {"loss": 1.0}))
    (tmp_path / "metrics.csv").write_text("step,loss\n1,0.5\n")
    (tmp_path / "log.jsonl").write_text(json.dumps({"step": 1, "loss": 0.25}) + "\n")
    (tmp_path / "config.json").write_text('{\n  "a": 1\n}\n')
    sources = find_logs(tmp_path)
    assert [source.kind for source in sources] == ["tensorboard", "csv", "jsonl"]
    assert {point.value for point in read_log_folder(sources) if point.tag == "loss"} == {1.0, 0.5, 0.25}
