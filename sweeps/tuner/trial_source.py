"""Which trial comes next: those left open, then the search's, then the confirmation's."""

from __future__ import annotations

from collections.abc import Collection

from sweeps.confirm.confirmation_runs import confirms
from sweeps.trials.journal import Journal
from sweeps.trials.record import RESUMED, TrialRecord
from sweeps.tuner.confirmation_phase import ConfirmationPhase
from sweeps.tuner.search_phase import SearchPhase


class TrialSource:
    """Goes through the phases; `search` is None where only the confirmation is run."""

    def __init__(self, journal: Journal, search: SearchPhase | None, confirmation: ConfirmationPhase) -> None:
        self._journal = journal
        self._search = search
        self._confirmation = confirmation

    def next(self, slot: int, running: Collection[str] = ()) -> TrialRecord | None:
        """The next trial, in the journal already; None where there is none now. `running` are the ids handed out.

        Without an end in the journal and not running are the trials of a resumed run, and one whose worker died before
        it began.
        """
        for record in self.open():
            if record.trial_id not in running:
                if confirms(record):
                    self._confirmation.begin()
                self._journal.append("trial_retried", record.trial_id, epoch=record.epochs, reason=RESUMED, slot=slot)
                return self._journal.record(record.trial_id)
        found = None if self._search is None else self._search.next(slot)
        if found is not None or self._searching:
            return found
        return self._confirmation.next(slot)

    def more_later(self) -> bool:
        """Whether there will be a trial once one that runs now has ended."""
        if not self._confirmation.wanted:
            return False
        return self._searching or self._confirmation.has_more()

    def open(self) -> list[TrialRecord]:
        """The trials of these phases that have not ended."""
        records = self._journal.records
        return [r for r in records if r.status is None and (self._search is not None or confirms(r))]

    @property
    def work_left(self) -> bool:
        """Whether anything is left to run."""
        if self._search is not None and self._search.work_left:
            return True
        return bool(self.open()) or self._confirmation.has_more()

    @property
    def _searching(self) -> bool:
        return self._search is not None and self._search.running
