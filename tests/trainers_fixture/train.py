"""A small deterministic PyTorch trainer that knows nothing of this project: Adam, weighted losses, a gradient clip.

Values come from a config file or the command line; metrics go to stdout, CSV, JSON lines or TensorBoard, weighted as
most trainers log them. `--misbehave` makes it fail in the ways of real programs.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import struct
import sys
import time
from pathlib import Path

assert importlib.util.find_spec("torch")  # as libraries look for another before they import it

import torch  # noqa: E402

STEPS = 6


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config")
    parser.add_argument("--out", default=".")
    parser.add_argument("--mel-w", type=float, default=45.0)
    parser.add_argument("--kl-w", type=float, default=1.0)
    parser.add_argument("--clip", type=float, default=50.0)
    parser.add_argument("--dead", type=float, default=1.0)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unseeded", action="store_true", help="never seed: data and initial weights differ each time")
    parser.add_argument("--log", default="stdout", help="stdout, csv, jsonl, tensorboard")
    parser.add_argument("--sleep", type=float, default=0.0)
    parser.add_argument("--dated", action="store_true", help="write into a folder named by date and minute")
    parser.add_argument("--resume-from")
    parser.add_argument("--misbehave", default="")
    given = parser.parse_args()
    if given.config:
        for name, value in read_config(Path(given.config)).items():
            setattr(given, name, value)
    return given


def read_config(path: Path) -> dict[str, object]:
    text = path.read_text()
    if path.suffix == ".json":
        loaded = json.loads(text)
    elif path.suffix == ".toml":
        import tomllib

        loaded = tomllib.loads(text)
    else:
        import yaml

        loaded = yaml.safe_load(text)
    flat = {**loaded["loss"], **loaded["train"]}
    for name in ("mel_w", "kl_w", "clip", "lr"):
        if name in flat and not isinstance(flat[name], (int, float)):
            raise TypeError(f"{name} is {flat[name]!r}, not a number")
    if not isinstance(flat.get("layers", 1), int):
        raise TypeError(f"layers is {flat['layers']!r}, not an int")
    return flat


class Log:
    """Writes a row of metrics in the form that was asked for, at once."""

    def __init__(self, folder: Path, kinds: str) -> None:
        self.folder, self.kinds = folder, kinds.split(",")
        folder.mkdir(parents=True, exist_ok=True)
        self.header: list[str] = []

    def row(self, step: int, epoch: int, values: dict[str, float], *, end: bool) -> None:
        if "stdout" in self.kinds and end:
            words = " ".join(f"{name.replace('/', '_')}={value!r}" for name, value in values.items())
            print(f"[{time.strftime('%H:%M:%S')}] epoch {epoch} done: {words}")
        if "csv" in self.kinds and end:
            path = self.folder / "metrics.csv"
            new = not path.exists()
            with path.open("a") as file:
                if new:
                    file.write(",".join(["epoch", *values]) + "\n")
                file.write(",".join([str(epoch), *map(repr, values.values())]) + "\n")
        if "jsonl" in self.kinds:
            with (self.folder / "log.jsonl").open("a") as file:
                file.write(json.dumps({"step": step, **values}) + "\n")
        if "tensorboard" in self.kinds:
            with (self.folder / "events.out.tfevents.1").open("ab") as file:
                for name, value in values.items():
                    file.write(event(step, name, value))


def event(step: int, tag: str, value: float) -> bytes:
    """A TensorBoard record by hand: Event(wall_time, step, summary(value(tag, simple_value)))."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    number, varint = step, b""
    while True:
        varint += bytes([number & 127 | (128 if number > 127 else 0)])
        number >>= 7
        if not number:
            break
    inner = field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)
    data = b"\x09" + struct.pack("<d", time.time()) + b"\x10" + varint + field(5, field(1, inner))
    return struct.pack("<QI", len(data), 0) + data + struct.pack("<I", 0)


def main() -> None:
    given = options()
    bad = given.misbehave
    out = Path(given.out)
    if "exit0_on_term" in bad:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if "ignore_term" in bad:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "silent" in bad:
        given.log = "none"
    if "unknown_tag" in bad:
        print("epoch 1: nothing of the kind")
    if given.dated:
        out = out / time.strftime("run-%B-%d-%Y_%I+%M%p")
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    if not given.unseeded:
        torch.manual_seed(given.seed)
    x = torch.randn(STEPS * 16 + 32, 8)
    y = x @ torch.arange(1.0, 9.0) / 4 + 0.3 * torch.randn(STEPS * 16 + 32)
    model = torch.nn.Linear(8, 1, bias=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=given.lr)
    step, first_epoch = 0, 1
    if given.resume_from and Path(given.resume_from).exists():
        state = torch.load(given.resume_from)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, first_epoch = state["step"], state["epoch"] + 1
        print(f"resumed after epoch {first_epoch - 1}")

    def losses(rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        return (model(x[rows]).squeeze(1) - y[rows]).abs().mean(), 0.5 * model.weight.square().mean()

    log = Log(out, given.log)
    for epoch in range(first_epoch, given.epochs + 1):
        for batch in range(STEPS):
            rows = slice(batch * 16, batch * 16 + 16)
            mel, kl = losses(rows)
            optimizer.zero_grad()
            (given.mel_w * mel + given.kl_w * kl).backward()
            norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), given.clip))
            mel, kl = mel.item(), kl.item()
            if "nan" in bad and epoch == 2 and given.mel_w > 50:
                mel = float("nan")
            if "jsonl" in given.log or "tensorboard" in given.log:
                terms = {"train/mel": given.mel_w * mel, "train/kl": given.kl_w * kl, "train/norm": norm}
                log.row(step, epoch, {**terms, "train/total": given.mel_w * mel + given.kl_w * kl}, end=False)
            step += 1
            optimizer.step()
            time.sleep(given.sleep / STEPS)
        if "crash" in bad and epoch == 2:
            if "delete" in bad:
                for path in out.glob("*"):
                    path.unlink()
            raise RuntimeError("CUDA error: the program broke in epoch 2")
        if "hang" in bad and epoch == 2:
            print("waiting for a lock", flush=True)
            time.sleep(10_000)
        if "big" in bad:
            with (out / f"checkpoint_{epoch}.bin").open("wb") as file:
                file.truncate(3_000_000)
        with torch.no_grad():
            mel, kl = (term.item() for term in losses(slice(-32, None)))
        if "nan" in bad and epoch == 2 and given.mel_w > 50:
            mel = float("nan")
        values = {"val/mel": given.mel_w * mel, "val/kl": given.kl_w * kl, "val/accuracy": 1 / (1 + mel)}
        log.row(step, epoch, values, end=True)
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "epoch": epoch}
        torch.save(state, out / "state.pt")
        if "stop_early" in bad and epoch == 2:
            return
    (out / "model.txt").write_text(f"{model.weight.tolist()}\n")
    print("threads", os.environ.get("OMP_NUM_THREADS"), "gpus", os.environ.get("CUDA_VISIBLE_DEVICES"))


if __name__ == "__main__":
    main()
