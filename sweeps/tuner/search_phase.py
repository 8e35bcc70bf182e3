"""The search: which trial it starts next, until its trials are done, more are hardly worth it, or the budget is left to
the confirmation."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict

from sweeps.confirm.confirmation_runs import confirms
from sweeps.confirm.plan import RIVAL
from sweeps.run.config import SweepConfig
from sweeps.search.gain import SearchEnd, SearchEnding, search_end
from sweeps.search.sampler import Sampler
from sweeps.trials.journal import Journal
from sweeps.trials.record import TrialRecord, default_record, searched


class SearchPhase:
    """The sampler's trials, then the baselines that need no sweep: what each adds to the default's config, by name.

    `has_room()` says whether the budget holds one more trial. `own_defaults` are the trainer's: a config is outside the
    limits by what was chosen for it, never by what its trainer has anyway.
    """

    def __init__(
        self,
        config: SweepConfig,
        journal: Journal,
        baselines: Mapping[str, Mapping[str, object]],
        has_room: Callable[[], bool] = lambda: True,
        own_defaults: Mapping[str, object] | None = None,
    ) -> None:
        self._config = config
        self._journal = journal
        self._baselines = baselines
        self._has_room = has_room
        own = own_defaults or {}
        self._chosen = {name: value for name, value in config.shared_params.items() if own.get(name) != value}
        self._sampler = Sampler(
            config.space, config.acting_limits, seed=config.seed, cohort=config.sobol_cohort, options=config.search
        )
        self._ended = False
        self.early_end: SearchEnd | None = search_end(journal.events, config.trials)
        """Why the search ends before its last trial; None where it does not"""
        self._ending = SearchEnding(
            config.space,
            config.acting_limits,
            percent=config.search.gain_percent,
            trials=config.trials,
            seed=config.seed,
        )

    def next(self, slot: int) -> TrialRecord | None:
        """The next trial, in the journal already; None when the search has started all that it will."""
        if not self._ended:
            more = self._has_room() and not self._is_over()
            trial = (self._next_trial(slot) if more else None) or self._next_baseline(slot)
            if trial is not None:
                return trial
            self._ended = True
        return None

    @property
    def trials(self) -> int:
        """How many trials the search comes to: fewer than planned once it has ended early, or for want of time."""
        if self.early_end is not None:
            return self.early_end.trials
        return len(searched(self._journal.records)) if self._ended else self._config.trials

    @property
    def running(self) -> bool:
        """Whether a trial of the search has not ended."""
        return any(record.status is None and not confirms(record) for record in self._journal.records)

    @property
    def work_left(self) -> bool:
        """Whether a resumed search has anything to do."""
        search = [record for record in self._journal.records if not confirms(record)]
        trials = self._config.trials if self.early_end is None else self.early_end.trials
        return len(search) < trials + len(self._baselines) or self.running

    def _is_over(self) -> bool:
        """Whether more trials are hardly worth it; once said, it is in the journal and stays so."""
        if self.early_end is None:
            self.early_end = self._ending(searched(self._journal.records))
            if self.early_end is not None:
                self._journal.append("gain_unlikely", None, **asdict(self.early_end))
        return self.early_end is not None

    def _next_trial(self, slot: int) -> TrialRecord | None:
        records = searched(self._journal.records)
        number = len(records) + 1
        if number > self._config.trials:
            return None
        begun = time.perf_counter()
        proposal = self._sampler.propose(number, records)
        seconds = round(time.perf_counter() - begun, 4)
        if proposal is None:
            return None
        config = proposal.config
        safe = self._config.limits.hold({**self._chosen, **config.params})
        return self._journal.start(
            f"t{number:04d}",
            self._config.objective_mode,
            role="control" if self._config.space.controls or not safe else "trial",
            seed=self._config.seed,
            params=config.params,
            origin=proposal.origin,
            slot=slot,
            seconds_search=seconds,
            **({"coordinates": config.coordinates} if config.coordinates else {}),
            **({"label": config.label} if config.label else {}),
        )

    def _next_baseline(self, slot: int) -> TrialRecord | None:
        """A baseline with the search's seed: compared with the trials, it fills the slots that they leave idle."""
        records = self._journal.records
        default = default_record(records)
        begun = [record.label for record in records if record.role == RIVAL and not confirms(record)]
        due = [name for name in self._baselines if name not in begun]
        if default is None or not due:
            return None
        return self._journal.start(
            self._journal.new_id("r"),
            self._config.objective_mode,
            role=RIVAL,
            seed=self._config.seed,
            params={**default.params, **self._baselines[due[0]]},
            origin=RIVAL,
            slot=slot,
            label=due[0],
        )
