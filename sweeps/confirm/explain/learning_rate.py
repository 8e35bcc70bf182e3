"""How much of a gain is learning rate: the default is tried at other rates, and the best of them is compared.

Where the search varied the learning rate, the default gets the same chance: its weights train at half, once and twice
its own rate and at the finalist's, once each on the seed that chose the finalist. The best of these rates gives one
more side, which is compared with the finalist over the judged seeds. Where the rate was not searched the same probe
says whether it would have mattered more than what was found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeps.confirm.verdict import Verdict
from sweeps.trials.event import Event
from sweeps.trials.objective import number
from sweeps.trials.record import TrialRecord

LEARNING_RATE = "learning_rate"
PROBE = "probe"
"""Origin of the runs that try the default at other rates"""
TUNED = "default with a tuned learning rate"
"""Label of the default's runs at the best of these rates"""
FACTORS = (0.5, 1.0, 2.0)

_OWN = "learning rate x 1"
_FINALISTS = "learning rate of the finalist"


@dataclass(frozen=True)
class SharedRate:
    """The learning rate of all trials, None where each has its own or none is known; and the limits of any rate."""

    value: object = None
    low: float = 0.0
    high: float = math.inf

    def probe(self, default: Mapping[str, object], finalist: Mapping[str, object]) -> dict[str, float]:
        """The rates to try by label, the default's own among them; empty where it is not known."""
        own = default.get(LEARNING_RATE, self.value)
        if not isinstance(own, (int, float)) or isinstance(own, bool) or not 0 < own < math.inf:
            return {}
        found = {_OWN: float(own)}
        for factor in FACTORS:
            rate = min(max(factor * own, self.low), self.high)
            if rate not in found.values():
                found[f"learning rate x {rate / own:.3g}"] = rate
        theirs = finalist.get(LEARNING_RATE)
        if isinstance(theirs, (int, float)) and theirs not in found.values():
            found[_FINALISTS] = float(theirs)
        return found


@dataclass(frozen=True)
class ProbedRate:
    """What the default ended at with one learning rate, on the seed that chose the finalist; NaN where it diverged."""

    rate: float
    end: float
    cost: float
    is_own: bool


@dataclass(frozen=True)
class RateComparison:
    """What the probe says, and where the rate was searched the two parts of the gain.

    Attributes:
        searched: Whether the search varied the learning rate.
        probe: The rates that were tried, the default's own first.
        carried: The default at its best rate against the default; None where its own is the best.
        left: The finalist against the default at its best rate; None likewise.
    """

    searched: bool
    probe: tuple[ProbedRate, ...]
    carried: Verdict | None = None
    left: Verdict | None = None

    @property
    def own(self) -> ProbedRate:
        """The default's own rate."""
        return next(one for one in self.probe if one.is_own)

    @property
    def best(self) -> ProbedRate:
        """The rate at which the default ends best; its own where none is better."""
        return best_rate(self.probe)

    @property
    def effect_percent(self) -> float | None:
        """How much better the default ends at its best rate than at its own, in per cent, on one seed."""
        own, best = self.own.end, self.best.end
        if not (math.isfinite(own) and math.isfinite(best) and own):
            return None
        return 100 * abs(best - own) / abs(own)

    def matters_more(self, verdict: Verdict) -> bool:
        """Whether a rate that was not searched would have brought more than the search found, and enough to want."""
        effect = self.effect_percent
        if self.searched or effect is None:
            return False
        return effect > max(verdict.margin_percent, gain_percent(verdict))

    def share_percent(self, verdict: Verdict) -> float | None:
        """Which part of the verdict's difference the learning rate carries: 0 where the default's own is its best."""
        if not self.searched or verdict.word != "better":
            return None
        if self.best.is_own:
            return 0.0
        if self.carried is None or self.carried.look is None or not verdict.difference:
            return None
        one, whole = self.carried.difference_percent, verdict.difference_percent
        if one is not None and whole is not None:
            return 100 * math.log1p(one / 100) / math.log1p(whole / 100)
        return None if self.carried.difference is None else 100 * self.carried.difference / verdict.difference

    def to_json(self, verdict: Verdict) -> dict[str, object]:
        """What verdict.json says of it."""
        left = self.left if self.left is not None and self.left.look is not None else None
        interval = None if left is None else left.interval_percent
        return {
            "searched": self.searched,
            "default": self.own.rate,
            "best_for_default": self.best.rate,
            "probe": [{"learning_rate": one.rate, "objective": number(one.end)} for one in self.probe],
            "effect_percent": self.effect_percent,
            "matters_more_than_gain": self.matters_more(verdict),
            "share_of_gain_percent": self.share_percent(verdict),
            "finalist_against_tuned_default": None
            if left is None
            else {
                "verdict": left.word,
                "difference_percent": left.difference_percent,
                "interval_percent": None if interval is None else list(interval),
            },
        }


def best_rate(probed: Sequence[ProbedRate]) -> ProbedRate:
    """The rate at which the default ends best; its own where none is better."""
    return min(probed, key=lambda one: (one.cost if math.isfinite(one.cost) else math.inf, not one.is_own))


def gain_percent(verdict: Verdict) -> float:
    """What a better finalist gains, in per cent of the default's objective; 0 for any other word."""
    return abs(verdict.difference_percent or 0.0) if verdict.word == "better" else 0.0


def probed_rates(runs: Sequence[TrialRecord], ends: Mapping[str, float]) -> tuple[ProbedRate, ...]:
    """What the runs of a probe came to, the default's own rate first; `ends` are their costs by trial id. Empty until
    all of them have ended, and where the own rate's did not come to an end."""
    found = [
        ProbedRate(
            float(str(run.params[LEARNING_RATE])),
            run.sign * ends[run.trial_id],
            ends[run.trial_id],
            run.label == _OWN,
        )
        for run in runs
    ]
    if any(run.status in (None, "budget") for run in runs):
        return ()
    own = [one for one in found if one.is_own and math.isfinite(one.end)]
    return (*own, *(one for one in found if not one.is_own)) if own else ()


def answered_without_probe(events: Sequence[Event], *, rate_searched: bool) -> bool:
    """Whether a confirmation finished with an answer that calls for a probe, and without one: by an older version's
    plan, or by one that did not ask for it."""
    answers = [
        event.get("verdict")
        for event in events
        if event["event"] == "confirm_ended" and event.get("reason") == "finished"
    ]
    calls = "better" in answers if rate_searched else bool(answers)
    return calls and not any(event.get("origin") == PROBE for event in events)
