"""Numbers in console output, by a regular expression with named groups.

Groups are tags. Special names: `step` (or `epoch`), `tag` with `value` (a name that stands in the text), `json` and
`dict` (a JSON object or a Python dict literal, whose numbers become tags).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from sweeps.external.readers.point import LineTail, Point, flattened, json_object, number

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # colours and cursor movements of terminals
LITERALS = ("json", "dict")
NOT_LITERAL = re.compile(r"\b(nan|inf)\b")


class PatternReader:
    """Follows a text file; each match of the expression on a line yields points."""

    def __init__(
        self, path: Path, pattern: str | re.Pattern[str], position: Mapping[str, object] | None = None
    ) -> None:
        self._pattern = re.compile(pattern)
        self._tail = LineTail(path, position)

    @property
    def position(self) -> Mapping[str, object]:
        """How far the file was read."""
        return self._tail.position

    def read(self, *, final: bool = False) -> list[Point]:
        """The points of new lines."""
        points: list[Point] = []
        for line in self._tail.lines(final=final):
            for part in ESCAPES.sub("", line).split("\r"):  # progress bars return to the line's beginning
                for match in self._pattern.finditer(part):
                    points += _points(match.groupdict())
        return points


def _points(groups: Mapping[str, str | None]) -> Iterator[Point]:
    found = {name: text for name, text in groups.items() if text is not None}
    step = next((number(found[name]) for name in ("step", "epoch") if name in found), None)
    at = int(step) if step is not None and step == step // 1 else None
    for name, text in found.items():
        if name in LITERALS:
            row = json_object(text) if name == "json" else _literal(text)
            inner = next((number((row or {}).get(key)) for key in ("step", "epoch") if key in (row or {})), None)
            here = int(inner) if at is None and inner is not None and inner == inner // 1 else at
            yield from (Point(here, tag, value) for tag, value in flattened(row))
        elif name == "tag" and "value" in found:
            value = number(found["value"])
            if value is not None:
                yield Point(at, text.strip(), value)
        elif name != "value" or "tag" not in found:
            value = number(text)
            if value is not None:
                yield Point(at, name, value)


def _literal(text: str) -> Mapping[str, object] | None:
    """A Python dict of numbers; its bare nan and inf are read as words."""
    try:
        found = ast.literal_eval(NOT_LITERAL.sub(r"'\1'", text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return found if isinstance(found, Mapping) else None
