"""Reads the logs of all runs below a path: their curves, what belongs together, and how each program ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xtts.diagnostics.logged_curve import Curve
from xtts.diagnostics.logged_run import Crash
from xtts_sweep.diagnosis.crash import crash_in
from xtts_sweep.diagnosis.resumes import resumed_runs
from xtts_sweep.diagnosis.run_curves import RunCurves
from xtts_sweep.diagnosis.run_logs import RunLogs, find_runs

Followed = dict[tuple[Path, ...], RunCurves]
"""What was read of growing logs so far, by the folders that they are in"""


@dataclass(frozen=True)
class ReadLogs:
    """A run's logs, its curves by tag, whether they end within a record, and the error that ended the program."""

    logs: RunLogs
    tags: Mapping[str, Curve]
    truncated: bool
    is_printed: bool = False
    """Whether the curves were read from console output"""
    crash: Crash | None = None


def read_logs(path: Path, followed: Followed | None) -> list[ReadLogs]:
    """The runs at or below `path`, newest first; a run that was resumed into further folders is one.

    Raises:
        RequestError: There is no log.
    """
    single = [_read([logs], followed) for logs in find_runs(path)]
    known = {id(one.logs): one for one in single}
    groups = resumed_runs([(one.logs, one.tags) for one in single])
    found = [known[id(group[0])] if len(group) == 1 else _read(group, followed) for group in groups]
    return [_with_crash(one, [other.logs for other in found]) for one in found]


def _read(parts: Sequence[RunLogs], followed: Followed | None) -> ReadLogs:
    logs = parts[0] if len(parts) == 1 else RunLogs.joined(parts)
    folders = tuple(part.folder for part in parts)
    reading = RunCurves() if followed is None else followed.setdefault(folders, RunCurves())
    tags, truncated = reading.read(logs, final=followed is None)
    return ReadLogs(logs, tags, truncated, any(stream.kind in ("console", "stderr") for _, stream in reading.streams))


def _with_crash(read: ReadLogs, runs: Sequence[RunLogs]) -> ReadLogs:
    """With the error in the run's own console output or in that of a folder above it, of which it is the newest run."""
    texts, newest = list(read.logs.texts), read.logs.newest
    for other in runs:
        below = [run for run in runs if other.folder in run.folder.parents]
        if below and below[0] is read.logs:
            texts += other.texts
            newest = max(newest, other.newest)
    crash = crash_in(sorted(texts, key=lambda file: -file.stat().st_mtime), newest)
    return replace(read, crash=crash)
