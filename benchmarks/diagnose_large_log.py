"""How long `diagnose` takes on large logs, and how much memory: 1 GB of TensorBoard events and a CSV of 10 M rows.

    python benchmarks/diagnose_large_log.py                 # writes both below a temporary folder, removed at the end
    python benchmarks/diagnose_large_log.py --megabytes 100 --rows 1000000

The event file holds scalars alone, the worst case: images and audio are skipped without being read. Each log is
diagnosed in a process of its own: wall time, processor time, and its peak resident size.
"""

from __future__ import annotations

import argparse
import json
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
TAGS = (b"TrainIterStats/loss_mel", b"TrainIterStats/loss_kl", b"TrainIterStats/loss_1", b"TrainIterStats/grad_norm_1")
BLOCK = 100_000
FIRST_STEP = 1 << 21
"""From here to 2**28 a step takes four bytes, so that all records of a tag are equally long"""
WATCHED = """
import resource, runpy, sys
sys.argv = ["run_sweep.py", "diagnose", sys.argv[1], "--json"]
try:
    runpy.run_path("run_sweep.py", run_name="__main__")
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)
"""


def main() -> None:
    """Print a row for each log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000, help="of events (default %(default)s)")
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the CSV (default %(default)s)")
    options = parser.parse_args()
    print(f"{'log':<24}{'size':>10}{'points':>14}{'seconds':>10}{'of a core':>11}{'peak memory':>14}")
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events" / "events.out.tfevents.1"
        points = write_events(events, options.megabytes << 20)
        show("TensorBoard events", events, points)
        events.unlink()
        table = Path(folder) / "csv" / "metrics.csv"
        write_csv(table, options.rows)
        show("CSV", table, 3 * options.rows)


def show(name: str, path: Path, points: int) -> None:
    """Diagnose a log and print its row."""
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", WATCHED, path], cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    state = json.loads(done.stdout)["state"]
    cpu, peak = float(done.stderr.split()[-2]), int(done.stderr.split()[-1]) / 1024
    size = path.stat().st_size / 2**20
    print(f"{name:<24}{size:>7.0f} MB{points:>14,}{seconds:>10.1f}{cpu:>11.1f}{peak:>11.0f} MB   {state}", flush=True)


def write_events(path: Path, size: int) -> int:
    """Scalars as torch writes them, until the file has that size; returns how many."""
    path.parent.mkdir()
    written = step = 0
    with path.open("wb") as file:
        while file.tell() < size:
            values = decay(step, BLOCK)
            steps = FIRST_STEP + step + np.arange(BLOCK)
            blocks = [records(tag, steps, values * (at + 1)) for at, tag in enumerate(TAGS)]
            file.write(np.concatenate(blocks, axis=1).tobytes())
            written, step = written + BLOCK * len(TAGS), step + BLOCK
    return written


def records(tag: bytes, steps: np.ndarray, values: np.ndarray) -> np.ndarray:
    """One record a row [steps, bytes]; the checksums, which no reader here looks at, are zero."""
    value = b"\x0a" + bytes([len(tag)]) + tag + b"\x15\0\0\0\0"
    summary = b"\x0a" + bytes([len(value)]) + value
    event = b"\x09" + struct.pack("<d", 1.8e9) + b"\x10\0\0\0\0" + b"\x2a" + bytes([len(summary)]) + summary
    record = struct.pack("<QI", len(event), 0) + event + b"\0\0\0\0"
    rows = np.tile(np.frombuffer(record, np.uint8), (len(steps), 1))
    place = 12 + 10
    for at in range(4):
        rows[:, place + at] = (steps >> (7 * at) & 0x7F) | (0x80 if at < 3 else 0)
    rows[:, -8:-4] = values.astype("<f4").view(np.uint8).reshape(-1, 4)
    return rows


def write_csv(path: Path, rows: int) -> None:
    """step,train_mel,train_kl,loss with so many rows."""
    path.parent.mkdir()
    with path.open("wb") as file:
        file.write(b"step,train_mel,train_kl,train_loss\n")
        for start in range(0, rows, BLOCK):
            count = min(BLOCK, rows - start)
            values = decay(start, count)
            lines = (f"{start + at},{v:.5f},{v / 2:.5f},{3 * v:.5f}\n" for at, v in enumerate(values))
            file.write("".join(lines).encode())


def decay(start: int, count: int) -> np.ndarray:
    """A loss that falls, with noise of 5 %."""
    at = start + np.arange(count)
    noise = np.random.default_rng(start).standard_normal(count)
    return np.asarray((0.5 + np.exp(-at / 2e6)) * (1 + 0.05 * noise))


if __name__ == "__main__":
    main()
