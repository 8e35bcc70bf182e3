"""Ends what Ray has started when the sweep itself was killed, and clears its folder away.

Ray's agents notice a killed driver only after a minute, and keep ports and memory until then. This process waits for
the sweep's end of a pipe to close. It only ends processes that write into this sweep's own Ray folder, so nothing else
can be hit. It imports nothing of this package, so that it costs a few megabytes and no time.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GRACE_SECONDS = 1.0
PATIENCE_SECONDS = 10.0


@contextmanager
def guarded(folder: Path) -> Iterator[None]:
    """If this process dies inside, processes with open files in `folder` are ended, and the folder is removed."""
    if not Path("/proc/self/fd").is_dir():  # elsewhere Ray's own reaper has to do
        yield
        return
    reaper = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C in the terminal is not for it
        cwd="/",
    )
    assert reaper.stdin is not None
    try:
        yield
    finally:
        reaper.kill()
        reaper.wait()
        reaper.stdin.close()


def processes_in(folder: Path) -> set[int]:
    """Processes that have a file of the folder open."""
    found = set()
    inside = f"{folder}/"
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if any(str(opened.readlink()).startswith(inside) for opened in (entry / "fd").iterdir()):
                found.add(int(entry.name))
        except OSError:  # it has ended, or belongs to another user
            continue
    return found


def end_processes_in(folder: Path) -> None:
    """Kill the processes in the folder, and wait for them."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and (left := processes_in(folder)):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        time.sleep(0.1)


if __name__ == "__main__":
    os.read(0, 1)
    time.sleep(GRACE_SECONDS)
    end_processes_in(Path(sys.argv[1]))
    shutil.rmtree(sys.argv[1], ignore_errors=True)
