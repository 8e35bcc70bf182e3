"""A finding of a rule, and the values that rules read from a trial's epochs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from messages import known, text

Severity = Literal["problem", "warning", "note"]
Epoch = Mapping[str, object]
"""One epoch's metrics, by the names of DESIGN.md section 5; any but `objective` may be missing."""

Numbers = dict[str, float | int | str]
"""What a finding's sentences name."""

SEVERITIES: tuple[Severity, ...] = ("problem", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """A code, how bad it is, and the numbers that its sentences name."""

    code: str
    severity: Severity
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What was found, in English, with its numbers."""
        return self.words("text", "en")

    @property
    def todo(self) -> str:
        """What to do next, in English."""
        return self.words("todo", "en")

    def sentence(self, lang: str = "en") -> str:
        """What was found and what to do, in one language."""
        return f"{self.words('text', lang)} {self.words('todo', lang)}"

    def words(self, part: Literal["title", "text", "todo"], lang: str) -> str:
        """The title, the sentence or the next step, in one language."""
        values = {
            name: known(f"finding_words.{value}", lang, value) if isinstance(value, str) else value
            for name, value in self.numbers.items()
        }
        return text(f"findings.{self.code}.{part}", lang, **values)

    def to_json(self) -> dict[str, object]:
        """The finding for trials.jsonl and the report, with its sentences in both languages."""
        numbers = {
            name: value if isinstance(value, str) or math.isfinite(value) else None
            for name, value in self.numbers.items()
        }
        return {
            "code": self.code,
            "severity": self.severity,
            "text": self.text,
            "todo": self.todo,
            "fa": self.sentence("fa"),
            "numbers": numbers,
        }


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Problems, then warnings, then notes; otherwise in the order given."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def number(source: Mapping[str, object], name: str) -> float | None:
    """The finite number that `source` holds under `name`, else None."""
    value = source.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def series(epochs: Sequence[Epoch], name: str) -> list[float]:
    """The finite values of a metric, in order."""
    return [value for epoch in epochs if (value := number(epoch, name)) is not None]


def mean(values: Sequence[float]) -> float:
    """Their mean; infinite where that is beyond the largest float."""
    try:
        return math.fsum(value / len(values) for value in values)
    except OverflowError:
        return math.inf


def epoch_number(epochs: Sequence[Epoch], place: int) -> int:
    """The absolute epoch of the entry at `place`; its position if the entry has none."""
    stated = number(epochs[place], "epoch")
    return place + 1 if stated is None else int(stated)
