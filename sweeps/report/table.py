"""A table as a value; templates/macros.html writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.trials.record import TrialRecord


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell, and what it is sorted by where that is not its text."""

    text: object
    sort: object = None

    @classmethod
    def number(cls, text: object, value: float | None) -> Cell:
        """A cell that is sorted by a number; without one it stays at the end."""
        return cls(text, "" if value is None else f"{value:.6g}")


@dataclass(frozen=True, slots=True)
class Row:
    """A row, headed by its first cell; that of a trial is shown and hidden with it."""

    cells: Sequence[object]
    record: TrialRecord | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells are texts, numbers, markup or `Cell`; with `section`, that names the table, and its columns sort."""

    caption: str
    head: Sequence[object]
    rows: Sequence[Row]
    section: str = ""
    tall: bool = False


def simple_table(caption: str, head: Sequence[object], rows: Sequence[Sequence[object]]) -> Table:
    """A table of plain cells."""
    return Table(caption, head, [Row(row) for row in rows])
