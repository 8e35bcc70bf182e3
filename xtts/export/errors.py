"""The error of an export that cannot be written."""

from __future__ import annotations

from xtts.errors import SpeechError


class ExportError(SpeechError):
    """A config cannot be exported; the message is one line: what was given, where, and what to do."""
