"""Findings about the log itself: how the program ended, and whether it was resumed."""

from __future__ import annotations

from xtts.diagnostics.finding import Finding
from xtts.diagnostics.logged_run import LoggedRun

CRASHES = {"memory": "crashed_memory", "killed": "crashed_killed"}


def crashed(run: LoggedRun) -> Finding | None:
    """The console output ends with an error, or with an interrupt by hand."""
    if run.crash is None:
        return None
    numbers = {"error": run.crash.error, "file": run.crash.file}
    if run.crash.kind == "interrupted":
        return Finding("interrupted", "note", numbers)
    return Finding(CRASHES.get(run.crash.kind, "crashed"), "problem", numbers)


def continued(run: LoggedRun) -> Finding | None:
    """The run was resumed into a folder of its own, once or more often."""
    if len(run.folders) < 2:
        return None
    names = ", ".join(run.folders)
    return Finding("continued_in_folders", "note", {"count": len(run.folders), "names": names})


def resumed(run: LoggedRun) -> Finding | None:
    """The steps went back: a resumed run, whose newer values were kept, or a new one where they begin again."""
    resumes = {pair for curve in run.curves.values() for pair in curve.resumes}
    starts = [float(curve.steps[0]) for curve in run.curves.values() if len(curve)]
    if not resumes or not starts:
        return None
    last, first = max(resumes, key=lambda pair: pair[0] - pair[1])
    count = max(len(curve.resumes) for curve in run.curves.values())
    if first <= min(starts):
        return Finding("restarted", "note", {"count": count, "step": first, "last": last})
    return Finding("resumed", "note", {"count": count, "step": first, "overlap": last - first + 1})


def log_cut_off(run: LoggedRun) -> Finding | None:
    """The log ends within a record: the writer was killed, or is writing."""
    return Finding("log_cut_off", "note") if run.truncated else None


LOGGED_FILE_RULES = (crashed, continued, resumed, log_cut_off)
