"""Runs a trainer's program so that it never outlives the worker that started it.

Started by path in a Python of its own, with nothing of this package: `supervisor.py OUTPUT COMMAND...`. It starts the
command in a new process group, writes the group's id on its standard output, and ends with the command's exit code.
When its standard input closes, because the worker ended in whatever way, it kills the group. Should the supervisor
itself be killed, the kernel kills the command (Linux).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

SET_PARENT_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG
MISSING = 127
NOT_EXECUTABLE = 126


def main(output: str, command: list[str]) -> int:
    """Run the command; its exit code, or 128 plus the signal that ended it."""
    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    supervisor = os.getpid()
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: _prepare(supervisor),  # this process has one thread
        )
    except FileNotFoundError as error:
        os.write(log, f"{error.filename or command[0]}: there is no such program\n".encode())
        return MISSING
    except OSError as error:
        os.write(log, f"{command[0]}: cannot be started: {error.strerror or error}\n".encode())
        return NOT_EXECUTABLE
    os.write(1, f"{child.pid}\n".encode())
    threading.Thread(target=_end_with_the_worker, args=(child.pid,), daemon=True).start()
    code = child.wait()
    _kill_group(child.pid)  # data loaders that the command left behind
    return code if code >= 0 else 128 - code


def _prepare(supervisor: int) -> None:
    """In the child: signals as a program started from a shell has them, and the end of its parent is its own."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != supervisor:
            os.kill(os.getpid(), signal.SIGKILL)


def _end_with_the_worker(group: int) -> None:
    while os.read(0, 1):
        pass
    _kill_group(group)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with its command or with the worker
    sys.exit(main(sys.argv[1], sys.argv[2:]))
