"""Whole logs of any size are read in pieces; damaged ones give what can be read and never an exception."""

from __future__ import annotations

import json
import random
import struct
import tracemalloc
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from tensorboardX import SummaryWriter

from sweeps.external.readers import stream
from sweeps.external.readers.console import ConsoleParser
from sweeps.external.readers.discovery import kind_of
from sweeps.external.readers.stream import LogStream
from sweeps.external.readers.wandb_offline import BLOCK_BYTES, FULL, HEADER_BYTES, LAST

COQUI = """\
 > Start Tensorboard: tensorboard --logdir=/tmp/x
 > Model has 15351392 parameters

\x1b[4m\x1b[1m > EPOCH: 0/2\x1b[0m
 --> /tmp/out/run

\x1b[1m > TRAINING (2026-11-27 12:06:04) \x1b[0m

\x1b[1m   --> TIME: 2026-11-27 12:06:12 -- STEP: 0/3 -- GLOBAL_STEP: 0\x1b[0m
     | > loss_mel: 107.89  (107.89)
     | > grad_norm_1: tensor(12., device='cpu')  (0)
     | > current_lr_0: 0.0002
     | > step_time: 2.1  (2.1)

\x1b[1m > EVALUATION \x1b[0m
     | > loss_mel: 99.1  (99.1)

  \x1b[1m--> EVAL PERFORMANCE\x1b[0m
     | > avg_loss_mel: 98.8 (+0.0)

\x1b[4m\x1b[1m > EPOCH: 1/2\x1b[0m
     | > loss_mel: nan  (nan)
"""


def read(kind: str, path: Path) -> dict[str, tuple[list[float], list[float]]]:
    found: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for piece in LogStream(kind, path).pieces():
        for tag, (steps, values) in piece.items():
            found[tag][0].extend(steps.tolist())
            found[tag][1].extend(values.tolist())
    return dict(found)


def events(folder: Path, steps: int = 300) -> Path:
    writer = SummaryWriter(str(folder))
    for step in range(steps):
        writer.add_scalar("train/mel", 1 / (step + 1), step)
        writer.add_scalar("val/mel" if step % 10 == 0 else "train/kl", step, 1_000_000 + step)
    writer.add_image("big", np.zeros((3, 200, 200), np.uint8), 1)
    writer.add_histogram("weights", np.arange(10.0), 1)
    writer.add_scalar("train/mel", 7.0, steps)
    writer.close()
    (path,) = folder.glob("events*")
    return path


def test_event_files_are_read_as_by_their_definition(tmp_path: Path) -> None:
    found = read("tensorboard", events(tmp_path))
    assert found["train/mel"][0] == [float(step) for step in range(301)]
    assert found["train/mel"][1][:2] == [1.0, 0.5]
    assert found["train/mel"][1][-1] == 7.0
    assert found["val/mel"][0][1] == 1_000_010


@pytest.mark.parametrize("piece", [64, 1000, 1 << 20])
def test_the_size_of_the_pieces_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    path = events(tmp_path)
    whole = read("tensorboard", path)
    monkeypatch.setattr(stream, "PIECE_BYTES", piece)
    assert read("tensorboard", path) == whole


def test_an_event_file_that_is_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    path = events(tmp_path)
    path.write_bytes(path.read_bytes()[:5000])
    log = LogStream("tensorboard", path)
    assert sum(len(values) for piece in log.pieces() for _, values in piece.values()) > 50
    assert log.truncated


def test_large_records_are_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    one = events(tmp_path / "small", 5).read_bytes()
    with path.open("wb") as file:
        file.write(one)
        for _ in range(8):
            file.write(struct.pack("<QI", 100 << 20, 0))
            file.seek((100 << 20) + 4, 1)  # a hole: takes no disk
        file.write(one)
    tracemalloc.start()
    found = read("tensorboard", path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["train/mel"][0] == [0, 1, 2, 3, 4, 5] * 2
    assert peak < 200 << 20


def test_a_large_csv_is_read_like_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.csv"
    rows = [f"{step},{step // 10},{1 / (step + 1)},{'' if step % 10 else 'nan'}" for step in range(1000)]
    path.write_text("\n".join(["step,epoch,train_mel,val_mel", *rows[:500], "broken,line", *rows[500:]]) + "\n")
    small = read("csv", path)
    monkeypatch.setattr(stream, "SMALL_CSV", 0)
    monkeypatch.setattr(stream, "PIECE_POINTS", 170)
    large = read("csv", path)
    assert large["train_mel"] == small["train_mel"]
    assert len(large["val_mel"][1]) == 100
    assert np.isnan(large["val_mel"][1]).all()


def test_a_trainer_state_of_transformers_is_read(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    history = [
        {"step": 10, "epoch": 0.5, "loss": 3.1, "learning_rate": 1e-4},
        {"step": 20, "epoch": 1.0, "eval_loss": 2.9},
    ]
    path.write_text(json.dumps({"global_step": 20, "log_history": history}, indent=2))
    assert read("trainer_state", path)["eval_loss"] == ([20.0], [2.9])


def test_warnings_and_one_line_configs_are_no_metrics(tmp_path: Path) -> None:
    lines = ["/x/torch/utils/data/dataloader.py:665: UserWarning", "I0000 port.cc:153] oneDNN"]
    assert not list(ConsoleParser().points(lines))
    config = tmp_path / "coqui.json"
    config.write_text('{"epochs": 8, "loss": 1}')
    assert kind_of(config) is None
    config.write_text('{"step": 1, "loss": 1}\n{"step": 2, "loss": 1}\n')
    assert kind_of(config) == "jsonl"


def test_the_console_output_of_coqui_is_read_by_split_and_step(tmp_path: Path) -> None:
    path = tmp_path / "trainer_0_log.txt"
    path.write_text(COQUI)
    found = read("console", path)
    assert found["train/loss_mel"][1][0] == 107.89
    assert np.isnan(found["train/loss_mel"][1][-1])
    assert found["val/avg_loss_mel"][1] == [98.8]
    assert found["epoch"][1] == [0.0, 1.0]
    assert not [tag for tag in found if "time" in tag.lower()]


@pytest.mark.parametrize(
    ("line", "tag", "value"),
    [
        ("Epoch 3: 100%|##| 4/4 [00:02<00:00, loss=2.3, v_num=0]", "train/loss", 2.3),
        ("10/10 - 2s - loss: 0.5 - val_loss: 0.75", "val_loss", 0.75),
        ("x - INFO - Validation: {'total_loss': 12.15, 'mel_loss': 4.46}", "val/mel_loss", 4.46),
        ("Train loss components: mel_loss=11.1, stop_loss=2e-1", "train/stop_loss", 0.2),
        ("     | > grad_norm_1: tensor(337.1086)  (tensor(337.1086))", "train/grad_norm_1", 337.1086),
        ("\rstep 10 loss: 1.5\rstep 20 loss: 1.25", "train/loss", 1.25),
    ],
)
def test_lines_of_other_trainers_are_read(line: str, tag: str, value: float) -> None:
    assert [point.value for point in ConsoleParser().points([line]) if point.tag == tag][-1] == value


@pytest.mark.parametrize("kind", ["tensorboard", "jsonl", "console", "wandb"])
def test_a_growing_log_is_read_on(kind: str, tmp_path: Path) -> None:
    """Cut anywhere, also within a record or a line: what comes later is added, nothing is read twice or torn."""
    if kind == "tensorboard":
        content = events(tmp_path / "events", 60).read_bytes()
    elif kind == "wandb":
        content = b":W&B" + b"\0\0\0" + wandb_blocks(range(900))
    elif kind == "jsonl":
        content = b"".join(json.dumps({"step": step, "loss": 1 / (step + 1)}).encode() + b"\n" for step in range(60))
    else:
        content = COQUI.encode() * 5
    path = tmp_path / "log"
    path.write_bytes(content)
    whole = read(kind, path)
    assert whole
    log = LogStream(kind, path)
    found: dict[str, list[float]] = defaultdict(list)
    for end in [*range(0, len(content), len(content) // 13), len(content)]:
        path.write_bytes(content[:end])
        for piece in log.pieces(final=False):
            for tag, (_, values) in piece.items():
                found[tag].extend(values.tolist())
    assert {tag: np.array(values).tolist() for tag, values in found.items() if tag != "train/loss_mel"} == {
        tag: values for tag, (_, values) in whole.items() if tag != "train/loss_mel"
    }
    assert {tag: len(values) for tag, values in found.items()} == {tag: len(one[1]) for tag, one in whole.items()}


def wandb_blocks(steps: Iterable[int]) -> bytes:
    """History records as W&B's log writer lays them into blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    written = bytearray(HEADER_BYTES)
    for step in steps:
        record = Record()
        record.history.step.num = step
        item = record.history.item.add()
        item.key, item.value_json = "loss", str(step / 7)
        record.history.item.add().MergeFrom(type(item)(key="text", value_json=json.dumps("x" * (step % 200))))
        data, first = record.SerializeToString(), True
        while data or first:
            left = BLOCK_BYTES - len(written) % BLOCK_BYTES
            if left < HEADER_BYTES:
                written += bytes(left)
                continue
            part, data = data[: left - HEADER_BYTES], data[left - HEADER_BYTES :]
            kind = (FULL if first else LAST) if not data else (2 if first else 3)
            written += struct.pack("<IHB", 0, len(part), kind) + part
            first = False
    return bytes(written[HEADER_BYTES:])


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, cut, repeated, or replaced by noise."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 20)):
        kind, at = rng.randrange(5), rng.randrange(max(1, len(data)))
        if kind == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at : at + rng.randint(1, 400)]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randint(1, 60))
        elif kind == 3:
            data[at:at] = data[at : at + rng.randint(1, 300)]
        else:
            data[at:at] = rng.choice([b"\xff" * 12, b"\0" * 40, b"nan,", b'{"a":', b"\r", b"\xe2\x80\xa8", b"1e999 "])
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.2 else data)


@pytest.mark.parametrize("kind", ["tensorboard", "csv", "jsonl", "trainer_state", "console", "wandb"])
def test_damaged_logs_give_what_can_be_read(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 of each kind, 240 in all; numbers that are found stay numbers."""
    rows = [{"step": step, "loss": 1 / (step + 1), "nested": {"mel": step}} for step in range(60)]
    contents = {
        "tensorboard": events(tmp_path / "events", 40).read_bytes(),
        "csv": ("step,loss,mel\n" + "\n".join(f"{s},{1 / (s + 1)},{s}" for s in range(60))).encode(),
        "jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "trainer_state": json.dumps({"log_history": rows}).encode(),
        "console": COQUI.encode() * 3,
        "wandb": b":W&B" + b"\0\0\0" + wandb_blocks(range(500)),
    }
    rng = random.Random(kind)
    path = tmp_path / "log"
    monkeypatch.setattr(stream, "PIECE_BYTES", 500)
    for at in range(40):
        path.write_bytes(damaged(contents[kind], rng))
        monkeypatch.setattr(stream, "SMALL_CSV", at % 2 * stream.LARGEST_JSON)
        for piece in LogStream(kind, path).pieces():
            for steps, values in piece.values():
                assert steps.shape == values.shape
