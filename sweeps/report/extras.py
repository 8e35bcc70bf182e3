"""What the page shows besides the run's records: plain data and sentences from the code that knows the trainer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from numpy import float32
from numpy.typing import NDArray

Severity = Literal["problem", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Coordinate:
    """A ratio of two of the trainer's parameters that acts on what is learned; drawn in logarithms."""

    name: str
    numerator: str
    denominator: str


@dataclass(frozen=True, slots=True)
class FindingNote:
    """One thing that was found, and what to do next; `trials` are the ids it holds for (empty: the whole sweep)."""

    severity: Severity
    text: str
    next: str = ""
    trials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HealthNote:
    """Something to look at in the data: what it is, and the recordings it concerns, worst first."""

    what: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """Something to listen to. `picture` is drawn under it: [time, bands], any scale, low bands first."""

    who: Literal["real", "default", "best"]
    wav: bytes
    picture: NDArray[float32] | None = None


@dataclass(frozen=True, slots=True)
class SampleText:
    """One sentence in the recording and as models speak it."""

    text: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class LossBand:
    """An expected range of the weighted loss in a part of training (0 to 1)."""

    name: str
    low: float
    high: float
    from_share: float
    to_share: float


@dataclass(frozen=True, slots=True)
class ExtraTable:
    """A further table under the loss chart; the first cell of a row heads it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class ReportExtras:
    """All of it, in the page's language; what is empty is left out of the page.

    `objective` says in a sentence what the objective measures, `health` holds the data's figures by name.
    """

    objective: str = ""
    coordinates: tuple[Coordinate, ...] = ()
    findings: tuple[FindingNote, ...] = ()
    health: Mapping[str, str] = field(default_factory=dict)
    health_notes: tuple[HealthNote, ...] = ()
    samples: tuple[SampleText, ...] = ()
    loss_bands: tuple[LossBand, ...] = ()
    tables: tuple[ExtraTable, ...] = ()


NO_EXTRAS = ReportExtras()
