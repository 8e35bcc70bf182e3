"""The confirmation of the sweep that a session runs: which runs it still needs, and how it begins and ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweeps.confirm.comparison import judgement
from sweeps.confirm.confirmation import EXPECTED_SEEDS, Confirmation, confirmation_of, confirmed_candidates
from sweeps.confirm.plan import CANDIDATES, SELECTION_SEEDS
from sweeps.run.config import SweepConfig
from sweeps.run.run import searched
from sweeps.trainer import Trainer
from sweeps.trials.journal import Journal
from sweeps.trials.record import Event, TrialRecord


class ConfirmationPhase:
    """What a request asks to have confirmed; `searching` says whether the search goes on beside it."""

    def __init__(self, config: SweepConfig, trainer: type[Trainer], *, searching: bool) -> None:
        self._config = config
        self._trainer = trainer
        self._searching = searching
        self._candidates: Sequence[str] | None = None

    def begin(self, events: Sequence[Event]) -> None:
        """Keep to the candidates that were chosen before, where a confirmation has begun."""
        self._candidates = confirmed_candidates(events)

    @property
    def rivals(self) -> Mapping[str, Mapping[str, object]]:
        """Methods that need no sweep, to be trained beside it."""
        wanted = self._config.rivals and not self._config.space.controls
        return self._trainer.rivals() if wanted else {}

    def confirmation(self, records: Sequence[TrialRecord]) -> Confirmation | None:
        """Of what the records hold now; None where there is nothing to confirm."""
        return confirmation_of(
            records,
            self._config.seed,
            self._config.most_pairs,
            self._config.confirmation_design,
            judged_params=self._trainer.confirmation_params(),
            candidates=self._candidates,
            rivals=self.rivals,
        )

    def runs(self, records: Sequence[TrialRecord]) -> int:
        """How many runs will come beside the search's trials, as far as that can be told while the search goes on."""
        rival_trials = len(self.rivals) if self._searching else 0
        if self._config.space.controls or not self._config.confirm_seeds:
            return rival_trials
        trials = self._config.trials
        if not self._searching or len(searched(records)) >= trials:
            confirmation = self.confirmation(records)
            return (0 if confirmation is None else confirmation.runs(records)) + rival_trials
        candidates = min(CANDIDATES, trials - 1)
        pairs = EXPECTED_SEEDS if self._config.confirm_seeds == "auto" else self._config.most_pairs
        judged = (candidates > 0) * (2 + len(self.rivals)) * pairs
        return candidates * (candidates > 1) * SELECTION_SEEDS + judged + rival_trials

    def end(self, journal: Journal, events: Sequence[Event], ended: str) -> None:
        """Close a confirmation that this session has begun, with its verdict; `events` are all of the journal."""
        for event in reversed(events):
            if event["event"] in ("sweep_started", "sweep_resumed"):
                return
            if event["event"] == "confirm_started":
                judged = judgement(journal.records)
                verdict = "unconfirmed" if judged is None else judged.verdict.word
                journal.append("confirm_ended", None, reason=ended, verdict=verdict)
                return
