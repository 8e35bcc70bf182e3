"""What came of a search's options: how it ended early, who meets the requirements, whether the memory helped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from messages import Texts
from sweeps.run.config import SweepConfig
from sweeps.run.run import Run
from sweeps.search.gain import SearchEnd, search_end
from sweeps.trials.record import TrialRecord, best_record, default_record, searched


@dataclass(frozen=True)
class RequirementMet:
    """A requirement with the metric of the best, the default and the nearest trial, and how many trials miss it."""

    text: str
    best: float | None
    default: float | None
    default_meets: bool
    nearest_trial: str
    nearest: float | None
    missed: int
    trials: int


@dataclass(frozen=True)
class MemoryUsed:
    """Earlier runs, and the rank correlation of this run's ends with what they alone predict for them."""

    names: Sequence[str]
    agreement: float | None
    kept: bool

    def text(self, lang: str) -> str:
        """Whether the memory helped, in words."""
        key = "memory_unknown" if self.agreement is None else "memory_helped" if self.kept else "memory_left_out"
        return Texts("search", lang)(key, names=", ".join(self.names), agreement=self.agreement)

    def verdict_fields(self) -> dict[str, object]:
        """What verdict.json says of it."""
        return {"from": list(self.names), "rank_correlation": self.agreement, "used": self.kept}


@dataclass(frozen=True)
class SearchSummary:
    """Empty where a search ran all its trials without requirements or memory."""

    end: SearchEnd | None = None
    requirements: Sequence[RequirementMet] = ()
    feasible: bool = True
    memory: MemoryUsed | None = None

    def as_dict(self) -> dict[str, object]:
        """Plain data for --json; without what there is not."""
        found: dict[str, object] = {}
        if self.end is not None:
            found["search_end"] = asdict(self.end)
        if self.requirements:
            found["requirements"] = [asdict(one) for one in self.requirements]
        if self.memory is not None:
            found["memory"] = {**asdict(self.memory), "names": list(self.memory.names)}
        return found

    def lines(self, lang: str) -> list[tuple[str, str, str]]:
        """Kind (saved, require, memory), label and text of each line of the summary and the report."""
        say = Texts("search", lang)
        found = []
        if self.end is not None:
            end = self.end
            left = end.planned - end.trials
            about = {"left": left, "planned": end.planned, "percent": 100 * end.saved, "least": end.least}
            found.append(("saved", say("saved"), say("saved_is", **about, chance=100 * end.chance)))
        for one in self.requirements:
            counts: dict[str, object] = {"requirement": one.text, "missed": one.missed, "trials": one.trials}
            default = say("default_meets" if one.default_meets else "default_misses", value=_number(one.default, say))
            if self.feasible:
                text = say("required", **counts, best=_number(one.best, say), default=default)
            else:
                nearest = _number(one.nearest, say)
                text = say("infeasible", **counts, nearest=nearest, trial=one.nearest_trial, default=default)
            found.append(("require", say("require"), text))
        if self.memory is not None:
            found.append(("memory", say("memory"), self.memory.text(lang)))
        return found


def search_summary(run: Run) -> SearchSummary:
    """The summary of a run, from its journal alone."""
    trials, config = searched(run.records), run.config
    best, default = best_record(trials), default_record(trials)
    requirements = []
    for one in config.search.requirements:
        ended = [record for record in trials if record.status == "finished"]
        values = {record.trial_id: one.value(record.best_report) for record in ended}
        margins = {record.trial_id: one.margin(record.best_report) for record in ended}
        known = [name for name, margin in margins.items() if margin is not None]
        nearest = max(known, key=lambda name: margins[name] or 0.0, default="")
        requirements.append(
            RequirementMet(
                str(one),
                None if best is None else one.value(best.best_report),
                None if default is None else one.value(default.best_report),
                default is not None and one.met(default.best_report),
                nearest,
                values.get(nearest),
                sum(not one.met(record.best_report) for record in ended),
                len(ended),
            )
        )
    end = search_end(run.events, config.trials)
    return SearchSummary(end, tuple(requirements), best is not None, memory_used(config, trials))


def memory_used(config: SweepConfig, trials: Sequence[TrialRecord]) -> MemoryUsed | None:
    """Whether a search's trials agree with its memory; None where it has none."""
    memory = config.search.memory
    if not memory:
        return None
    from sweeps.search.memory import agreement

    agreed = agreement(memory, config.space, trials)
    return MemoryUsed(memory.names, None if agreed is None else agreed.rank, agreed is not None and agreed.holds)


def _number(value: float | None, say: Texts) -> str:
    return say("not_reported") if value is None else f"{value:.4g}"
