"""Files of a run are replaced whole or not at all."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweeps.common.errors import SweepFailed


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary neighbour to write to: it takes the file's place at the end, and is gone where the block fails.

    Other machines may write the same file of a shared folder at the same moment.
    """
    writer = f"{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
    temporary = path.with_name(f".{path.name}.{writer}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Replace the file; SweepFailed where the disk is full or the folder cannot be written, and the old file stays."""
    try:
        with replacing(path) as temporary:
            # A name of a file that is no valid text must not keep a file of the run from being written.
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise write_failure(path, error) from error


def write_failure(path: Path, error: OSError) -> SweepFailed:
    """What a failed write means for the person at the terminal."""
    reason = error.strerror or str(error)
    return SweepFailed(
        f"{path}: cannot be written: {reason}; nothing is damaged: make room or access, then resume the run"
    )
