"""Whom a session speaks to beside its own files: people, a page, a record elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from sweeps.backend.heartbeat import Heartbeat
from sweeps.report import Report, write_report
from sweeps.run.diagnosis import Diagnosis, no_diagnosis
from sweeps.run.progress import Display, QuietDisplay
from sweeps.run.run import Hook
from sweeps.tuner.logger import Recording, no_recording


@dataclass(frozen=True)
class Callbacks:
    """`display` shows progress, `report` writes the page, `recording` follows the journal, `diagnosis` finds what is
    worth telling, `on_end` hears of the result, `watchdog` knows when a worker hangs."""

    display: Display = field(default_factory=QuietDisplay)
    report: Report = write_report
    recording: Recording = no_recording
    diagnosis: Diagnosis = no_diagnosis
    on_end: Sequence[Hook] = ()
    heartbeat: Heartbeat = field(default_factory=Heartbeat)


class CallbackOptions(TypedDict, total=False):
    """The same as keyword arguments; what is not given stays away."""

    display: Display
    report: Report
    recording: Recording
    diagnosis: Diagnosis
    on_end: Sequence[Hook]
    heartbeat: Heartbeat
