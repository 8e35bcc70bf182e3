"""The confirmation: which of its runs starts next, how many are to come, and its verdict in the journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweeps.confirm.comparison import Comparison
from sweeps.confirm.confirmation import Confirmation, confirmation_of, confirmed_candidates
from sweeps.confirm.explain.learning_rate import FACTORS, LEARNING_RATE, SharedRate, answered_without_probe
from sweeps.confirm.plan import CANDIDATES, EXPECTED_PAIRS, RIVAL, SELECTION_SEEDS
from sweeps.run.config import SweepConfig
from sweeps.trainer import Trainer
from sweeps.trials.journal import Journal
from sweeps.trials.record import TrialRecord, searched


class ConfirmationPhase:
    """What a config asks to have confirmed, once its search has ended; `searching` is off where there is none.

    The candidates and seeds are recorded once, when its first run begins; a resumed run keeps to them. One that had
    finished before the default was tried at other learning rates stays finished, unless `confirm --explain` asks.
    """

    def __init__(self, config: SweepConfig, trainer: type[Trainer], journal: Journal, *, searching: bool) -> None:
        self._config = config
        self._trainer = trainer
        self._journal = journal
        self._searching = searching
        self._candidates = confirmed_candidates(journal.events)
        searches_rate = any(parameter.name == LEARNING_RATE for parameter in config.space.searched)
        settled = answered_without_probe(journal.events, rate_searched=searches_rate)
        self._searches_rate = searches_rate
        self._tries_rates = not settled or (config.explain and not searching)
        self._confirmation: Confirmation | None = None
        self._begun = False

    @property
    def wanted(self) -> bool:
        """Whether anything is to be confirmed."""
        return bool(self._config.confirm_seeds)

    def next(self, slot: int) -> TrialRecord | None:
        """The next run, in the journal already; None where there is none now."""
        confirmation = self._plan() if self.wanted else None
        due = [] if confirmation is None else confirmation.due(self._journal.records)
        if not due:
            return None
        self.begin()
        run = due[0]
        return self._journal.start(
            self._journal.new_id("r" if run.role == RIVAL else "c"),
            self._config.objective_mode,
            role=run.role,
            seed=run.seed,
            params=run.params,
            origin=run.origin,
            slot=slot,
            label=run.label,
            **({"design": dict(run.design)} if run.design else {}),
        )

    def begin(self) -> None:
        """Write down, once in a session, who is confirmed over which seeds."""
        confirmation = self._plan() if self.wanted else None
        if self._begun or confirmation is None:
            return
        self._begun = True
        plan = confirmation.plan
        self._journal.append(
            "confirm_started",
            None,
            candidates=plan.candidates,
            selection_seeds=plan.selection_seeds,
            seeds=plan.confirmation_seeds,
        )

    def has_more(self) -> bool:
        """Whether there are runs still to start, now or when those that run have ended."""
        records = self._journal.records
        confirmation = self._confirmation or self.confirmation(records)
        return confirmation is not None and confirmation.has_more(records)

    def _plan(self) -> Confirmation | None:
        """The confirmation of what the search came to; asked for when it has ended, and the same from then on."""
        self._confirmation = self._confirmation or self.confirmation(self._journal.records)
        return self._confirmation

    @property
    def rivals(self) -> Mapping[str, Mapping[str, object]]:
        """Baselines that need no sweep: what each adds to the default's config, by name."""
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
            explain=self._config.explain,
            rate=self._rate() if self._tries_rates else None,
        )

    def _rate(self) -> SharedRate:
        limit = self._config.acting_limits.by_name.get(LEARNING_RATE)
        value = {**(self._trainer.default_params() or {}), **self._config.shared_params}.get(LEARNING_RATE)
        return SharedRate(value) if limit is None else SharedRate(value, limit.min, limit.max)

    def runs(self, records: Sequence[TrialRecord], trials: int) -> int:
        """How many runs there will be in addition to the search's trials, of which there are `trials` in the end."""
        rival_trials = len(self.rivals) if self._searching else 0
        if self._config.space.controls or not self._config.confirm_seeds:
            return rival_trials
        if not self._searching or len(searched(records)) >= trials:
            confirmation = self.confirmation(records)
            return (0 if confirmation is None else confirmation.runs(records)) + rival_trials
        candidates = min(CANDIDATES, trials - 1)
        pairs = EXPECTED_PAIRS if self._config.confirm_seeds == "auto" else self._config.most_pairs
        judged = (candidates > 0) * (2 + len(self.rivals)) * pairs
        tuned = (len(FACTORS) + 1 + pairs) * self._searches_rate * (candidates > 0)
        return candidates * (candidates > 1) * SELECTION_SEEDS + judged + tuned + rival_trials

    def end(self, ended: str, compared: Comparison | None) -> None:
        """Close a confirmation that this session has begun, with its verdict."""
        if self._begun:
            verdict = "unconfirmed" if compared is None else compared.verdict.word
            self._journal.append("confirm_ended", None, reason=ended, verdict=verdict)
