"""Processes of a sweep that is killed: the family of one, and whether it has gone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

GONE_SECONDS = 15.0


def family_of(pid: int) -> dict[int, str]:
    """The process and all that descend from it, with their command lines."""
    listing = subprocess.run(["ps", "-wweo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listing.splitlines()]
    parents = {int(row[0]): int(row[1]) for row in rows}
    names = {int(row[0]): row[2][:300] for row in rows if len(row) == 3}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {one: names.get(one, "") for one in found if "backend/reaper.py" not in names.get(one, "")}


def end_now(pids: Mapping[int, str] | Sequence[int]) -> None:
    """Kill -9, all at once."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: Mapping[int, str], since: float) -> float:
    """Seconds since then until none of the processes was there; a little more than is allowed where they stay."""
    while any(alive(pid) for pid in pids) and time.monotonic() - since <= GONE_SECONDS:
        time.sleep(0.05)
    return time.monotonic() - since
