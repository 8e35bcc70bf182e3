"""Files of a run are replaced whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from sweeps.common.errors import SweepFailed


def write_atomically(path: Path, text: str) -> None:
    """Replace the file; SweepFailed where the disk is full or the folder cannot be written, and the old file stays."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # A name of a file that is no valid text must not keep a file of the run from being written.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise write_failure(path, error) from error


def write_failure(path: Path, error: OSError) -> SweepFailed:
    """What a failed write means for the person at the terminal."""
    reason = error.strerror or str(error)
    return SweepFailed(
        f"{path}: cannot be written: {reason}; nothing is damaged: make room or access, then resume the run"
    )
