"""A sweep in a process of its own that is interrupted."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeps.trials.journal import read, read_events
from tests import ROOT

pytestmark = pytest.mark.slow


LOOPBACK = re.compile(r"\s(127\.0\.0\.1|\[::1\]|\[::ffff:127\.0\.0\.1\]):\d+\s")
DRIVER = """
import sys
from pathlib import Path
from sweeps.run.progress import LineDisplay
from sweeps.tuner.api import resume, run
from tests.sweeps.builders import toy_request
output, name, mode, slow = Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])
if mode == "resume":
    result = resume(output / name, display=LineDisplay())
else:
    request = toy_request(output, name=name, trials=5, epochs=6, set_params={"slow": slow})
    result = run(request, display=LineDisplay())
print("ended", result.ended, result.reason, flush=True)
"""


def start(output: Path, name: str, mode: str = "run", slow: float = 0.0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(output), name, mode, str(slow)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    return out


def wait_for_reports(journal: Path, count: int) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if journal.exists() and sum(event["event"] == "report" for event in read_events(journal)) >= count:
            return
        time.sleep(0.02)
    raise AssertionError(f"{journal} has too few reports")


def processes_of(pid: int) -> set[int]:
    """The process and all that descend from it."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listing.splitlines()]
    found = {pid}
    while more := {child for child, parent in pairs if parent in found} - found:
        found |= more
    return found


def all_gone(pids: set[int], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(_alive(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def workers_among(pids: set[int]) -> set[int]:
    """Without Ray's two agents, which notice a killed driver only after a minute and hold nothing until then."""
    listing = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    agents = {int(line.split()[0]) for line in listing.splitlines() if "Agent" in line}
    return pids - agents


def test_an_interrupted_sweep_ends_soon_with_its_state_saved_and_nothing_left_running(tmp_path: Path) -> None:
    process = start(tmp_path, "stopped", slow=1.5)
    journal = tmp_path / "stopped" / "trials.jsonl"
    wait_for_reports(journal, 1)
    family = processes_of(process.pid)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - begun < 5
    assert all_gone(workers_among(family), 20.0)

    resumed = start(tmp_path, "stopped", "resume")
    wait_for_reports(journal, 3)
    family = processes_of(resumed.pid)
    listening = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout
    ours = [line for line in listening.splitlines() if any(f"pid={pid}," in line for pid in family)]
    assert ours
    assert [line for line in ours if not LOOPBACK.search(line)] == []
    begun = time.monotonic()
    resumed.send_signal(signal.SIGTERM)
    out = finish(resumed)
    assert time.monotonic() - begun < 10
    assert "ended interrupted interrupted by SIGTERM" in out
    assert all_gone(family, 5.0)
    events = read_events(journal)
    assert (events[-1]["event"], events[-1]["reason"]) == ("sweep_ended", "interrupted")
    (record,) = read(journal)
    assert (record.status, record.retries) == (None, 0)
    assert (tmp_path / "stopped" / "optuna.db").exists()
