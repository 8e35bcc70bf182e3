"""Which seeds choose the finalist and which judge it: fresh ones, never the search's, and never the same for both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CANDIDATES = 3
SELECTION_SEEDS = 1

_SELECTION_OFFSET = 1_000
_CONFIRMATION_OFFSET = 2_000


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


def confirmation_plan(
    ranked: Sequence[str],
    search_seed: int,
    *,
    confirm_seeds: int = 3,
    selection_seeds: int = SELECTION_SEEDS,
) -> ConfirmationPlan:
    """The plan for the best of `ranked` (best first, without the default); the same for the same search seed.

    More confirmation seeds later go on where the first ended, so a longer plan begins with the shorter one. A single
    candidate needs no selection. ValueError beyond 999 seeds of either kind.
    """
    if max(confirm_seeds, selection_seeds) >= _CONFIRMATION_OFFSET - _SELECTION_OFFSET:
        raise ValueError(f"{max(confirm_seeds, selection_seeds)} seeds: the plan holds at most 999 of a kind")
    candidates = tuple(dict.fromkeys(ranked))[:CANDIDATES]
    choosing = selection_seeds if len(candidates) > 1 else 0
    return ConfirmationPlan(
        candidates,
        tuple(search_seed + _SELECTION_OFFSET + number for number in range(1, choosing + 1)),
        tuple(search_seed + _CONFIRMATION_OFFSET + number for number in range(1, confirm_seeds + 1)),
    )


def choose_finalist(ends: Mapping[str, Sequence[float]]) -> str | None:
    """The candidate with the lowest mean log objective, ends[candidate][seed]; None if all diverged.

    A candidate that diverged on one seed is out. Ties go to the one that comes first, as the search ranked them.
    """
    scores = {name: _mean_log(values) for name, values in ends.items()}
    best = min(scores, key=lambda name: scores[name], default=None)
    return best if best is not None and math.isfinite(scores[best]) else None


def _mean_log(values: Sequence[float]) -> float:
    if not values or not all(math.isfinite(value) and value > 0 for value in values):
        return math.inf
    return math.fsum(map(math.log, values)) / len(values)
