"""A run as a value: config, resources, events and records; and the result of running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sweeps.common.errors import RequestError
from sweeps.confirm.comparison import Comparison, comparison_of
from sweeps.confirm.verdict import Verdict
from sweeps.run.config import SweepConfig, sweep_config_from_yaml
from sweeps.run.folder import RunFolder, read_sweep_yaml
from sweeps.run.resources import Resources
from sweeps.search.gain import search_end
from sweeps.trials.event import Event
from sweeps.trials.journal import read_events
from sweeps.trials.record import TrialRecord, best_record, records_from_events


@dataclass(frozen=True)
class Run:
    """A run, whether it has ended or not: what reports, summaries and loggers take."""

    folder: RunFolder
    config: SweepConfig
    resources: Resources
    events: Sequence[Event]
    records: Sequence[TrialRecord]
    content: Mapping[str, object] = field(default_factory=dict)
    """Of sweep.yaml"""

    @property
    def best(self) -> TrialRecord | None:
        """The best trial of the search."""
        return best_record(self.records)

    @cached_property
    def comparison(self) -> Comparison | None:
        """Finalist against default; None where no seed has confirmed anything yet."""
        return comparison_of(self.records)

    @property
    def verdict(self) -> Verdict | None:
        """The word and what it rests on."""
        return None if self.comparison is None else self.comparison.verdict

    @property
    def recommended(self) -> TrialRecord | None:
        """The trial whose config best_config.yaml holds: the proven one, or the search's best while unconfirmed."""
        return self.best if self.comparison is None else self.comparison.proven

    @property
    def trials(self) -> int:
        """How many trials the search comes to: fewer than planned where it has ended early."""
        end = search_end(self.events, self.config.trials)
        return self.config.trials if end is None else end.trials

    @property
    def interrupted(self) -> bool:
        """Whether its last session was ended by a signal."""
        last = self.events[-1] if self.events else {}
        return last.get("event") == "sweep_ended" and last.get("reason") == "interrupted"

    @property
    def seconds(self) -> float:
        """Wall clock that the run's sessions have used."""
        return seconds_used(self.events)


@dataclass(frozen=True)
class SweepResult:
    """What came out of a session: `ended` is finished, budget or interrupted; `reason` says it in words."""

    run: Run
    ended: str
    reason: str
    seconds: float
    """Wall clock of all sessions"""
    notes: Sequence[str] = ()
    """Lines for people"""

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return self.run.folder

    @property
    def records(self) -> Sequence[TrialRecord]:
        """All trials, confirmation runs and baselines."""
        return self.run.records

    @property
    def best(self) -> TrialRecord | None:
        """The best trial of the search."""
        return self.run.best

    @property
    def comparison(self) -> Comparison | None:
        """Finalist against default; None where no seed has confirmed anything yet."""
        return self.run.comparison

    @property
    def verdict(self) -> Verdict | None:
        """The word and what it rests on; None where no seed has confirmed anything yet."""
        return self.run.verdict


def read_run(path: Path) -> Run:
    """A run from its folder; RequestError where there is none."""
    folder = RunFolder(path)
    if not folder.exists:
        raise RequestError(f"{path}: holds no run (there is no sweep.yaml)")
    content = read_sweep_yaml(folder)
    config, resources = sweep_config_from_yaml(content, path.parent, str(folder.sweep_yaml))
    events = read_events(folder.trials_jsonl) if folder.trials_jsonl.exists() else []
    return Run(folder, config, resources, events, records_from_events(events), content)


def seconds_used(events: Sequence[Event]) -> float:
    """Wall clock of all sessions, each from its start to its last event; a clock set back counts as none."""
    total, first, last = 0.0, None, 0.0
    for event in events:
        moment = event.get("time")
        if not isinstance(moment, (int, float)):
            continue
        if event["event"] in ("sweep_started", "sweep_resumed"):
            total += 0.0 if first is None else max(last - first, 0.0)
            first = float(moment)
        last = float(moment)
    return total + (0.0 if first is None else max(last - first, 0.0))
