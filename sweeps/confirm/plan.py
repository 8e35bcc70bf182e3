"""The plan of a confirmation: its candidates, its seeds, and the looks at which the pairs are judged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CANDIDATES = 3
SELECTION_SEEDS = 1
SMALLEST_GAIN_PERCENT = 1.0
"""The smallest gain worth having, unless --smallest-gain says otherwise."""

EXPECTED_PAIRS = 5
"""How many pairs a sequential confirmation takes before anything is known of it: about the mean over true gains of 0 to
6 % (benchmarks/confirmation_design.py)."""

ROLE, RIVAL = "confirm", "rival"  # the roles of such runs; a rival's label is its method's name
SELECTION, CONFIRMATION = "selection", "confirmation"  # the origins of confirm runs

_SELECTION_OFFSET = 1_000
_CONFIRMATION_OFFSET = 2_000


@dataclass(frozen=True, slots=True)
class Look:
    """A point at which the pairs are judged, planned before any is seen: after `seeds` pairs, at level `alpha`."""

    seeds: int
    alpha: float


SEQUENTIAL_LOOKS = (
    Look(3, 0.0149),
    Look(4, 0.0089),
    Look(5, 0.0084),
    Look(6, 0.0095),
    Look(7, 0.0108),
    Look(8, 0.0122),
    Look(9, 0.0136),
    Look(10, 0.0151),
)
"""A look after each pair from the third on. The levels spend 5 % linearly in the number of pairs (Lan and DeMets 1983)
on the paired t test, whose level at few pairs was simulated: benchmarks/confirmation_design.py compares this with other
boundaries and checks the total. Whichever look ends the confirmation, the total of false calls stays at 5 %."""

TWO_LOOKS = (Look(3, 0.01), Look(8, 0.04))
"""The plan of runs made before the sequential one; their levels add up to 5 %."""


@dataclass(frozen=True, slots=True)
class Design:
    """The rule that turns pairs into a word.

    Attributes:
        looks: When the pairs are judged, at which level.
        stops_early: The first look that decides ends the confirmation; otherwise all pairs are run, and the last look
            reached decides.
        smallest_gain_percent: Differences inside plus or minus this are none.
        stops_hopeless: A gain of `smallest_gain_percent` that the pairs rule out is reported as no difference.
    """

    looks: tuple[Look, ...] = SEQUENTIAL_LOOKS
    stops_early: bool = True
    smallest_gain_percent: float = SMALLEST_GAIN_PERCENT
    stops_hopeless: bool = True

    def to_event(self) -> dict[str, object]:
        """The design as the journal keeps it."""
        return {
            "looks": [[look.seeds, look.alpha] for look in self.looks],
            "stops_early": self.stops_early,
            "smallest_gain_percent": self.smallest_gain_percent,
        }

    @classmethod
    def from_event(cls, stored: Mapping[str, object] | None) -> Design:
        """The design that a run's journal holds; runs without one were planned with two looks."""
        looks = None if stored is None else stored.get("looks")
        if stored is None or not isinstance(looks, Sequence):
            return TWO_LOOK_DESIGN
        try:
            table = tuple(Look(int(seeds), float(alpha)) for seeds, alpha in looks)
            gain = float(str(stored.get("smallest_gain_percent", SMALLEST_GAIN_PERCENT)))
        except (TypeError, ValueError):
            return TWO_LOOK_DESIGN
        return cls(table, bool(stored.get("stops_early", True)), gain) if table else TWO_LOOK_DESIGN

    @property
    def most_seeds(self) -> int:
        """The pairs of the last look: more are not judged."""
        return self.looks[-1].seeds


TWO_LOOK_DESIGN = Design(TWO_LOOKS, stops_early=False, stops_hopeless=False)


@dataclass(frozen=True)
class Assignment:
    """A run that was decided on: who trains (`label`), what for (`origin`), with which config and seed."""

    origin: str
    label: str
    seed: int
    params: Mapping[str, object]
    role: str = ROLE
    design: Mapping[str, object] | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """By which its record is found."""
        return self.origin, self.label, self.seed


@dataclass(frozen=True, slots=True)
class ConfirmationPlan:
    """The candidates train once for each selection seed; the finalist and the default once for each confirmation seed.

    The selection runs choose one finalist, on the validation split, and are then discarded: testing the best of three
    on the seeds that made it the best doubles the false calls. Only the confirmation runs are judged, on the test
    split.
    """

    candidates: tuple[str, ...]
    selection_seeds: tuple[int, ...]
    confirmation_seeds: tuple[int, ...]

    @property
    def selection_seed(self) -> int:
        """The first seed that a finalist is, or would be, chosen on."""
        return self.confirmation_seeds[0] - _CONFIRMATION_OFFSET + _SELECTION_OFFSET


def confirmation_plan(
    ranked: Sequence[str],
    search_seed: int,
    *,
    confirm_seeds: int = 3,
) -> ConfirmationPlan:
    """The plan for the best of `ranked` (best first, without the default); the same for the same search seed.

    More confirmation seeds later follow the first ones, so a longer plan begins with the shorter one. A single
    candidate needs no selection. ValueError beyond 999 seeds.
    """
    if confirm_seeds >= _CONFIRMATION_OFFSET - _SELECTION_OFFSET:
        raise ValueError(f"{confirm_seeds} seeds: the plan holds at most 999")
    candidates = tuple(dict.fromkeys(ranked))[:CANDIDATES]
    choosing = SELECTION_SEEDS if len(candidates) > 1 else 0
    return ConfirmationPlan(
        candidates,
        tuple(search_seed + _SELECTION_OFFSET + number for number in range(1, choosing + 1)),
        tuple(search_seed + _CONFIRMATION_OFFSET + number for number in range(1, confirm_seeds + 1)),
    )


def choose_finalist(ends: Mapping[str, Sequence[float]]) -> str | None:
    """The candidate with the lowest mean cost over its seeds, ends[candidate][seed]; None if all diverged.

    A candidate that diverged on one seed is out. Ties go to the one that comes first, as the search ranked them. Costs
    above 0 are averaged as logs.
    """
    positive = all(value > 0 for values in ends.values() for value in values if math.isfinite(value))
    scores = {name: _score(values, positive) for name, values in ends.items()}
    best = min(scores, key=lambda name: scores[name], default=None)
    return best if best is not None and math.isfinite(scores[best]) else None


def simplest(ends: Mapping[str, Sequence[float]], changes: Mapping[str, int], gain_percent: float) -> str | None:
    """The candidate with the fewest changes among those within `gain_percent` of the best; None if all diverged.

    So near to each other they are not distinguishable by a few selection runs, and a change that brings nothing is one
    more thing to explain. Equally few changes: the lower cost.
    """
    best = choose_finalist(ends)
    if best is None:
        return None
    positive = all(value > 0 for values in ends.values() for value in values if math.isfinite(value))
    scores = {name: _score(values, positive) for name, values in ends.items()}
    allowed = math.log1p(gain_percent / 100) if positive else gain_percent / 100 * abs(scores[best])
    near = [name for name, score in scores.items() if score - scores[best] <= allowed]
    return min(near, key=lambda name: (changes.get(name, 0), scores[name]), default=best)


def _score(values: Sequence[float], positive: bool) -> float:
    if not values or not all(map(math.isfinite, values)):
        return math.inf
    return math.fsum(math.log(value) if positive else value for value in values) / len(values)
