"""Runs a module of this package in a process that can always be ended, and exchanges JSON with it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeps.wandb.environment import environment


class ChildProcess:
    """A process that reads one line of JSON at its start and writes one line at its end.

    It is in a session of its own, so Ctrl-C in a terminal does not reach it, and W&B's service ends with it.
    """

    def __init__(self, module: str, task: Mapping[str, object], wandb_folder: Path, *, online: bool) -> None:
        self._scratch = scratch = Path(tempfile.mkdtemp(prefix="wandb-"))
        self._errors = scratch / "errors.txt"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(os.environ, wandb_folder, scratch / "cache", online=online),
                start_new_session=True,
            )
        self._send(task)

    def end(self, message: Mapping[str, object], seconds: float | None) -> dict[str, Any]:
        """Send the last message and return the answer; one with a `problem` if none comes in time."""
        try:
            return self._ended(message, seconds) or {"problem": f"W&B did not answer within {seconds:.0f} s"}
        finally:
            self.kill()

    def leave(self, message: Mapping[str, object], seconds: float) -> dict[str, Any] | None:
        """Send the last message and wait that long for the answer; None where the process ends alone, later."""
        found = self._ended(message, seconds)
        if found is not None:
            self.kill()
        return found

    def kill(self) -> None:
        """End the process now, if it is still there."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _ended(self, message: Mapping[str, object], seconds: float | None) -> dict[str, Any] | None:
        self._send(message)
        try:
            return self._answer(self._process.communicate(timeout=seconds)[0])
        except subprocess.TimeoutExpired:
            return None

    def _send(self, message: Mapping[str, object]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:  # it has ended already; its stderr has the reason
            return

    def _answer(self, out: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(out.splitlines()[-1])
            if isinstance(answer, dict):
                return answer
        except (IndexError, ValueError):
            pass
        lines = self._errors.read_text(encoding="utf-8", errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {self._process.returncode}")
        return {"problem": f"W&B's process ended early ({said[:300]})"}


def answer(message: Mapping[str, object]) -> None:
    """In the child: write the answer to the standard output that it was started with."""
    with contextlib.suppress(BrokenPipeError):  # the parent has ended
        os.write(ANSWERS, json.dumps(message).encode() + b"\n")


def claim_output() -> None:
    """In the child, first of all: keep the prints of libraries out of the answers."""
    global ANSWERS
    ANSWERS = os.dup(1)
    os.dup2(2, 1)


def remove_scratch() -> None:
    """In the child, when its parent is gone: remove the folder that `ChildProcess` made for this process."""
    shutil.rmtree(Path(os.environ["WANDB_CACHE_DIR"]).parent, ignore_errors=True)


ANSWERS = 1
