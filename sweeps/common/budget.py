"""How much a sweep may use: trials, epochs and seconds in one value that says which limit ended it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from messages import text
from sweeps.common.errors import RequestError

MANY_TRIALS = 40
EARLIEST_RUNG = 3
UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Budget:
    """At most `trials` trials of `epochs` epochs each, within `seconds` of wall clock (None: no limit)."""

    trials: int
    epochs: int
    seconds: float | None = None

    def __post_init__(self) -> None:
        problems = []
        if self.trials < 1:
            problems.append(f"--trials {self.trials}: at least 1 is needed")
        if self.epochs < 1:
            problems.append(f"--epochs {self.epochs}: at least 1 is needed")
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            problems.append(f"--budget {self.seconds!r}: more than 0 seconds are needed")
        if problems:
            raise RequestError("; ".join(problems))

    @property
    def explores(self) -> bool:
        """Whether there are trials enough to stop some before it is known how well early epochs foretell the end; of
        few trials each is worth its full length (docs/search.md)."""
        return self.trials >= MANY_TRIALS

    @property
    def first_rung(self) -> int:
        """The epoch at which trials are first compared: a third of the full length, with many trials a ninth.

        It is never before the third epoch, where a third of the full length is not earlier: the first two say little.
        """
        third, ninth = -(-self.epochs // 3), -(-self.epochs // 9)
        return max(min(third, EARLIEST_RUNG), ninth) if self.explores else third

    def exhausted(self, seconds: float) -> str | None:
        """That the time is used up after so many seconds, in words; None where it is not."""
        if self.seconds is not None and seconds >= self.seconds:
            return f"the budget of {duration(self.seconds)} is used up"
        return None


def parse_duration(text: str) -> float:
    """Seconds in words like 2h, 90m, 1h30m, 45s or a plain number of seconds."""
    stripped = text.strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)(min|[smhd])", stripped)
    if re.fullmatch(r"\d+(\.\d+)?", stripped):
        return float(stripped)
    if not parts or "".join(number + unit for number, unit in parts) != stripped:
        raise RequestError(f"--budget {text!r}: expected a time such as 2h, 90m, 1h30m or 45s")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def duration(seconds: float, lang: str = "en") -> str:
    """A time for people: 45 s, 12 min, 2 h 05 min."""
    if seconds < 100:
        return text("time.seconds", lang, seconds=seconds)
    minutes = round(seconds / 60)
    if minutes < 120:
        return text("time.minutes", lang, minutes=minutes)
    return text("time.hours_minutes", lang, hours=minutes // 60, minutes=minutes % 60)
