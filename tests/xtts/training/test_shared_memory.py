"""Workers that read the same speech share its frames in memory: the operating system holds them once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.xtts.conftest import Learnable

WORKERS = 3
WORKER = """
import sys
from xtts.prepare.prepare_data import open_data
aligned = open_data(sys.argv[1])
heard = sum(float(aligned.speech.clip_mel(clip).sum()) for clip in range(len(aligned.speech)))
print("ready", flush=True)
sys.stdin.readline()
"""


def mapped(pid: int, name: str) -> dict[str, int]:
    """Kilobytes of a process's mappings of the file of that name: Rss counts every page, Pss its share of each."""
    found = dict.fromkeys(("Rss", "Pss", "Private_Dirty"), 0)
    ours = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        key, _, rest = line.partition(":")
        if key in found:
            found[key] += ours * int(rest.split()[0])
        elif "-" in key.split()[0]:
            ours = line.endswith(name)
    return found


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells")
def test_frames_are_in_memory_once_however_many_workers_read_them(learnable: Learnable):
    (frames,) = learnable.aligned.speech.folder.glob("mel-*.f32")
    command = [sys.executable, "-c", WORKER, learnable.prepared.data]
    workers = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(WORKERS)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        memory = [mapped(worker.pid, frames.name) for worker in workers]
    finally:
        for worker in workers:
            worker.communicate("\n")
    size = frames.stat().st_size / 1024
    assert all(one["Rss"] >= 0.9 * size for one in memory), "each has read them all"
    assert sum(one["Pss"] for one in memory) <= 1.1 * size + 8
    assert not any(one["Private_Dirty"] for one in memory)
