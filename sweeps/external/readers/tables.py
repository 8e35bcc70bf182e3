"""Tables of metrics: CSV files and JSON lines, a row per step or epoch."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from sweeps.external.readers.point import LineTail, Point, flattened, json_object, number, step_in

DELIMITERS = ",;\t|"


class CsvReader:
    """Follows a CSV file with a header. Cells that are no numbers are left out; `step` names the column of steps.

    Lightning writes the whole file anew when a column is added; rows that were read are not read again.
    """

    def __init__(self, path: Path, position: Mapping[str, object] | None = None, *, step: str | None = None) -> None:
        given = position or {}
        self._tail = LineTail(path, cast("Mapping[str, object]", given.get("file", {})))
        self._header = [str(name) for name in cast("list[object]", given.get("header", []))]
        self._delimiter = str(given.get("delimiter", ","))
        self._rows = int(str(given.get("rows", 0)))
        self._first = str(given.get("first", ""))
        self._step = step

    @property
    def position(self) -> Mapping[str, object]:
        """How far the file was read."""
        return {
            "file": self._tail.position,
            "header": self._header,
            "delimiter": self._delimiter,
            "rows": self._rows,
            "first": self._first,
        }

    def read(self, *, final: bool = False) -> list[Point]:
        """The points of new rows."""
        if self._header and self._header_now() not in (None, self._header):
            return self._read_again(final)
        return self._points(self._tail.lines(final=final, first_index=1))  # the header is the same in a new file

    def _read_again(self, final: bool) -> list[Point]:
        """The header has changed: the rows behind those that were read, or all of them where the first differs."""
        old_header, old_rows, old_first = self._header, self._rows, self._first
        self._tail, self._header, self._rows, self._first = LineTail(self._tail.path), [], 0, ""
        lines = self._tail.lines(final=final, first_index=1)
        points_before = self._points(lines[: 1 + old_rows])
        first = dict(zip(self._header, self._cells(lines[1]), strict=False)) if len(lines) > 1 else {}
        before = dict(zip(old_header, self._cells(old_first), strict=False))
        same = old_rows > 0 and all(number(first.get(name)) == number(cell) for name, cell in before.items() if cell)
        rest = self._points(lines[1 + old_rows :])
        return rest if same else points_before + rest

    def _header_now(self) -> list[str] | None:
        try:
            with self._tail.path.open("rb") as file:
                line = file.readline(1 << 20)
        except OSError:
            return None
        if not line.endswith(b"\n"):
            return None
        return self._cells(line.decode("utf-8-sig", errors="replace").strip())

    def _points(self, lines: list[str]) -> list[Point]:
        points: list[Point] = []
        for line in lines:
            if not line.strip():
                continue
            if not self._header:
                clean = line.lstrip("\ufeff").strip()
                self._delimiter = max(DELIMITERS, key=clean.count)
                self._header = self._cells(clean)
                continue
            cells = self._cells(line)
            if cells == self._header:
                continue
            self._first = self._first or line
            self._rows += 1
            row: dict[str, object] = dict(zip(self._header, cells, strict=False))
            step = step_in(row, self._step)
            for name, cell in row.items():
                value = number(cell)
                if value is not None and name and name != self._step:
                    points.append(Point(step, name, value))
        return points

    def _cells(self, line: str) -> list[str]:
        try:
            cells = next(csv.reader([line], delimiter=self._delimiter), [])
        except csv.Error:  # a damaged line
            cells = line.split(self._delimiter)
        return [cell.strip() for cell in cells]


class JsonLinesReader:
    """Follows a file with a JSON object a line; nested names are joined with '/'. Other lines are left out."""

    def __init__(self, path: Path, position: Mapping[str, object] | None = None, *, step: str | None = None) -> None:
        self._tail = LineTail(path, position)
        self._step = step

    @property
    def position(self) -> Mapping[str, object]:
        """How far the file was read."""
        return self._tail.position

    def read(self, *, final: bool = False) -> list[Point]:
        """The points of new lines."""
        points = []
        for line in self._tail.lines(final=final):
            row = json_object(line)
            if row is not None:
                step = step_in(row, self._step)
                points += [Point(step, tag, value) for tag, value in flattened(row)]
        return points
