"""Trials that were left open: by the session before this one, or by a loop of Ray that ended too early."""

from __future__ import annotations

from collections.abc import Callable

from sweeps.confirm.confirmation_runs import confirms
from sweeps.confirm.plan import CONFIRMATION
from sweeps.trials.journal import Journal
from sweeps.trials.record import RESUMED
from sweeps.tuner.trial_source import TrialSource

MOST_IN_VAIN = 3  # of Ray's loops


def reopen(journal: Journal, epochs: int, *, searching: bool) -> None:
    """Resume: reopen what ran out of budget or failed for a full disk and the like, and close what was decided.

    Without the search its trials are left as they are, and confirmation runs that failed are tried again.
    """
    for record in journal.records:
        if not searching and not confirms(record):
            continue
        crashed = record.status == "failed" and record.origin == CONFIRMATION and not searching
        if record.status == "budget" or record.failed_by_environment or crashed:
            journal.append("trial_retried", record.trial_id, epoch=record.epochs, reason=RESUMED)
    for record in journal.records:
        if record.status is not None:
            continue
        stopping = next((event for event in record.rungs if event.get("decision") == "stop"), None)
        if record.reports and record.last_report.get("objective") is None:
            journal.end(record.trial_id, "diverged", "the objective is not finite")
        elif stopping is not None:
            journal.end(record.trial_id, "stopped", "stopped at a rung", int(str(stopping["epoch"])))
        elif record.epochs >= epochs:
            journal.end(record.trial_id, "finished", f"all {epochs} epochs")


def run_until_done(loop: Callable[[], str | None], journal: Journal, source: TrialSource) -> str | None:
    """Ray's loop, and another one where it ended before a trial that it gave up was handed out again.

    Where several loops in a row bring no report, the trials that are left have failed.
    """
    in_vain = 0
    while True:
        retries, reports = [r.retries for r in journal.records], _reports(journal)
        stopped, left = loop(), source.open()
        if stopped is not None or not left or retries == [r.retries for r in journal.records]:
            return stopped
        in_vain = in_vain + 1 if reports == _reports(journal) else 0
        if in_vain == MOST_IN_VAIN:
            for record in left:
                journal.end(record.trial_id, "failed", f"its worker crashed {MOST_IN_VAIN} times before its next epoch")
            return None


def _reports(journal: Journal) -> int:
    return sum(len(record.reports) for record in journal.records)
