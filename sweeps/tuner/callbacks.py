"""Callbacks of a run: progress display, report writer, loggers, diagnosis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from sweeps.report import Report, write_report
from sweeps.run.diagnosis import Diagnosis, no_diagnosis
from sweeps.run.logger import Logger
from sweeps.run.progress import Display
from sweeps.run.run import SweepResult
from sweeps.trials.heartbeat import Heartbeat

Hook = Callable[[SweepResult], object]
"""Called with the result, after everything else"""


@dataclass(frozen=True)
class Callbacks:
    """`display` shows progress, `report` writes report.html, `loggers` follow the journal, `diagnosis` makes findings
    when the trials have ended, `on_end` is called with the result, `heartbeat` says when a worker hangs. `patience` is
    how many seconds after a Ctrl-C the process ends in any case (None: it closes the run however long that takes)."""

    display: Display = field(default_factory=Display)
    report: Report = write_report
    loggers: Sequence[Logger] = ()
    diagnosis: Diagnosis = no_diagnosis
    on_end: Sequence[Hook] = ()
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    patience: float | None = None


class CallbackOptions(TypedDict, total=False):
    """The same as keyword arguments."""

    display: Display
    report: Report
    loggers: Sequence[Logger]
    diagnosis: Diagnosis
    on_end: Sequence[Hook]
    heartbeat: Heartbeat
    patience: float | None
