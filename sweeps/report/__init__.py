"""report.html: one self-contained page that says which config to take, how sure that is, and why."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sweeps.common.atomic_file import write_atomically
from sweeps.report.data import RunData
from sweeps.report.extras import (
    NO_EXTRAS,
    Coordinate,
    ExtraTable,
    FindingNote,
    HealthNote,
    LossBand,
    ReportExtras,
    Sample,
    SampleText,
)
from sweeps.report.page import page
from sweeps.report.picture import png
from sweeps.report.text import Words
from sweeps.run.run import Run

Report = Callable[[Run], object]
"""Writes the page of a run; `write_report` is one, and so is a partial of it with extras and a language."""


def write_report(run: Run, extras: ReportExtras = NO_EXTRAS, lang: str = "en") -> Path:
    """Replace the run's report.html, from its records, its folder and `extras`; returns where it is.

    May be called while the sweep runs. RequestError where there is no such `lang`;
    SweepFailed where the file cannot be written.
    """
    words = Words(lang)
    write_atomically(run.folder.report, page(RunData(run, extras.coordinates), extras, words, time.time()))
    return run.folder.report


__all__ = [
    "Coordinate",
    "ExtraTable",
    "FindingNote",
    "HealthNote",
    "LossBand",
    "Report",
    "ReportExtras",
    "Sample",
    "SampleText",
    "png",
    "write_report",
]
