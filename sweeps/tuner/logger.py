"""Where a session's record goes beside its own files: whatever follows the journal, from the first event to the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sweeps.run.folder import RunFolder


class RunRecording(Protocol):
    """What a session holds while it runs."""

    def close(self) -> str | None:
        """End the record after the run's files; a line for people, or None. Calling it again does nothing."""


class NoRecording:
    """Nothing is recorded elsewhere."""

    def close(self) -> str | None:
        """Nothing."""
        return None


Recording = Callable[[RunFolder], RunRecording]
"""Begins a record of the run in a folder, before the session's first event."""


def no_recording(folder: RunFolder) -> RunRecording:
    """No record beside the run's own files."""
    del folder
    return NoRecording()
