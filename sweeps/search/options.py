"""What a user asks of the search: when it may end early, what a config must fulfil, and what is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.common.errors import RequestError
from sweeps.search.memory import NO_MEMORY, Memory
from sweeps.search.prior import Prior, prior_from_text
from sweeps.search.requirement import Requirement, requirement_from_text
from sweeps.space.space import Space
from sweeps.trials.record import TrialRecord

GAIN_PERCENT = 1.0
"""Of the best objective: less is hardly worth a trial, as seeds differ by about as much"""


@dataclass(frozen=True)
class SearchOptions:
    """`gain_percent` None: the search runs all its trials."""

    gain_percent: float | None = None
    requirements: tuple[Requirement, ...] = ()
    priors: tuple[Prior, ...] = ()
    memory: Memory = NO_MEMORY

    def as_dict(self) -> dict[str, object]:
        """Plain data for sweep.yaml."""
        return {
            "stop_when_gain_below": self.gain_percent,
            "require": [str(requirement) for requirement in self.requirements],
            "prior": [str(prior) for prior in self.priors],
            "memory": self.memory.as_dict() if self.memory else {},
        }

    def marks(self, report: Mapping[str, object]) -> dict[str, object]:
        """What the journal adds to a report: whether it meets all requirements, where there are any."""
        if not self.requirements:
            return {}
        return {"feasible": all(requirement.met(report) for requirement in self.requirements)}

    def missed(self, record: TrialRecord) -> str:
        """Which requirements the best epoch of a trial misses, in words; empty where it misses none."""
        missed = [one for one in self.requirements if not one.met(record.best_report)]
        return ", ".join(f"misses {one} ({_shown(one.value(record.best_report))})" for one in missed)


NO_OPTIONS = SearchOptions()


def usual_options() -> SearchOptions:
    """The options of a sweep for which none are given."""
    return SearchOptions(gain_percent=GAIN_PERCENT)


def search_options(
    space: Space,
    *,
    gain_percent: float | None = None,
    require: Sequence[str] = (),
    prior: Sequence[str] = (),
    memory: Memory = NO_MEMORY,
) -> SearchOptions:
    """Options from their command-line words; one RequestError holds all that is wrong with them."""
    problems: list[str] = []
    try:
        gain_percent = checked_gain(gain_percent)
    except RequestError as error:
        problems.append(str(error))
    requirements, priors = [], []
    for text in require:
        try:
            requirements.append(requirement_from_text(text))
        except RequestError as error:
            problems.append(str(error))
    for text in prior:
        try:
            priors.append(prior_from_text(text, space))
        except RequestError as error:
            problems.append(str(error))
    names = [prior.name for prior in priors]
    problems += [f"--prior {name}: given more than once" for name in dict.fromkeys(names) if names.count(name) > 1]
    if problems:
        raise RequestError("; ".join(problems))
    return SearchOptions(gain_percent, tuple(requirements), tuple(priors), memory)


def checked_gain(percent: float | None) -> float | None:
    """The percent of --stop-when-gain-below; None where the search runs all its trials."""
    if percent is not None and not 0 <= percent < 100:
        raise RequestError(f"--stop-when-gain-below {percent:g}: expected percent, 0 (never) to below 100")
    return percent or None


def search_options_from_mapping(given: Mapping[str, Any], space: Space) -> SearchOptions:
    """The options that sweep.yaml holds; a run from before them has none."""
    return search_options(
        space,
        gain_percent=given.get("stop_when_gain_below"),
        require=given.get("require", ()),
        prior=given.get("prior", ()),
        memory=Memory.from_mapping(given.get("memory") or {}),
    )


def _shown(value: float | None) -> str:
    return "not reported" if value is None else f"{value:.4g}"
