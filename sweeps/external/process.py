"""One run of a trainer's program: started in its own process group, stopped as its spec says, its output in a file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

SUPERVISOR = Path(__file__).with_name("supervisor.py")
STARTED_SECONDS = 30.0
TAIL_BYTES = 8000


class TrainerProcess:
    """A running program. It dies with this process, also when this process is killed."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], cwd: Path, output: Path) -> None:
        self.output = output
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SUPERVISOR), str(output), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=cwd,
            env=dict(environment),
            start_new_session=True,
        )
        self._group: int | None = None

    @property
    def group(self) -> int | None:
        """The program's process group; None where it could not be started."""
        if self._group is None:
            assert self._supervisor.stdout is not None
            line = self._supervisor.stdout.readline()  # written as soon as the program runs, or never
            self._group = int(line) if line.strip() else 0
        return self._group or None

    def ended(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        code = self._supervisor.poll()
        if code is None:
            return None
        return 128 - code if code > 128 else code

    def stop(self, with_signal: str, wait: float) -> None:
        """Send the signal to the group, wait, then kill what is left of it."""
        group = self.group
        if group is not None and self.ended() is None:
            _signal(group, getattr(signal, with_signal))
            self.wait(wait)
        if group is not None:
            _signal(group, signal.SIGKILL)
        assert self._supervisor.stdin is not None
        assert self._supervisor.stdout is not None
        with contextlib.suppress(OSError):
            self._supervisor.stdin.close()  # which ends the supervisor, too
        try:
            self._supervisor.wait(STARTED_SECONDS)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
        self._supervisor.stdout.close()

    def wait(self, seconds: float) -> bool:
        """Whether it ended within that time."""
        end = time.monotonic() + seconds
        while self.ended() is None:
            if time.monotonic() >= end:
                return False
            time.sleep(0.05)
        return True


def last_lines(output: Path, lines: int = 3, most: int = 200) -> str:
    """The end of a program's output in one line, for an error message."""
    try:
        with output.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - TAIL_BYTES, 0))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    found = [" ".join(line.split()) for line in text.replace("\r", "\n").splitlines()]
    return " | ".join([line for line in found if line][-lines:])[-most:]


def described_code(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
