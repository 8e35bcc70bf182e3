"""Everything a program has logged so far, copied as it comes: some trainers delete their logs when they fail or resume.

Each line of the copy (`points.jsonl` in the trial's folder) holds new points and how far each file was read, so that a
resumed trial neither loses a value nor takes one twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweeps.external.placeholders import as_text, filled
from sweeps.external.readers import (
    CsvReader,
    JsonLinesReader,
    LogReader,
    PatternReader,
    Point,
    TensorBoardReader,
    WandbReader,
)
from sweeps.external.spec import MetricsEntry


class MetricSource:
    """One entry of a spec's `metrics`, over all the files that match it."""

    def __init__(self, entry: MetricsEntry, folder: Path, values: dict[str, object], outputs: Sequence[Path]) -> None:
        self._entry, self._folder, self._outputs = entry, folder, outputs
        self._pattern = as_text(filled(entry.where, values)) if entry.kind != "stdout" else ""
        self._readers: dict[str, LogReader] = {}
        self._positions: dict[str, Any] = {}
        self.points: list[Point] = []

    def poll(self, *, final: bool) -> list[Point]:
        """New points, in the order in which they were logged."""
        new: list[Point] = []
        for path in self._files():
            name = str(path)
            reader = self._readers.get(name)
            if reader is None:
                reader = self._readers[name] = self._reader(path, self._positions.get(name))
            new += reader.read(final=final)
        if self._entry.prefix:
            new = [point._replace(tag=self._entry.prefix + point.tag) for point in new]
        new.sort(key=lambda point: point.time if point.time is not None else 0.0)
        self.points += new
        return new

    def positions(self) -> dict[str, Any]:
        """How far each file was read."""
        return {**self._positions, **{name: dict(reader.position) for name, reader in self._readers.items()}}

    def restore(self, points: Sequence[Point], positions: dict[str, Any]) -> None:
        """What an earlier attempt of the trial had read."""
        self.points += points
        self._positions |= positions

    def drop_repeated(self) -> None:
        """Leave out what a resumed program has logged again: the same tag at a step that is known."""
        seen: set[tuple[str, int]] = set()
        kept = []
        for point in self.points:
            key = (point.tag, -1 if point.step is None else point.step)
            if point.step is None or key not in seen:
                kept.append(point)
            seen.add(key)
        self.points = kept

    def described(self) -> str:
        """The source in words, for an error message."""
        if self._entry.kind == "stdout":
            return "stdout"
        found = len(self._files())
        return f"{self._entry.kind} {self._pattern!r} ({found} file{'' if found == 1 else 's'})"

    def _files(self) -> list[Path]:
        if self._entry.kind == "stdout":
            return list(self._outputs)
        if Path(self._pattern).is_absolute():
            anchor = Path(self._pattern).anchor
            return sorted(path for path in Path(anchor).glob(self._pattern.removeprefix(anchor)) if path.is_file())
        return sorted(path for path in self._folder.glob(self._pattern) if path.is_file())

    def _reader(self, path: Path, position: Any) -> LogReader:
        entry = self._entry
        if entry.kind == "tensorboard":
            return TensorBoardReader(path, position)
        if entry.kind == "wandb":
            return WandbReader(path, position)
        if entry.kind == "stdout":
            return PatternReader(path, str(entry.stdout), position)
        kind = CsvReader if entry.kind == "csv" else JsonLinesReader
        return kind(path, position, step=entry.step)


class MetricLog:
    """The sources of a spec for one trial, and the copy of what they gave."""

    def __init__(self, sources: Sequence[MetricSource], copy: Path, *, resumed: bool) -> None:
        self.sources, self._copy, self._resumed = sources, copy, resumed
        if resumed:
            self._restore()
        else:
            copy.unlink(missing_ok=True)

    def poll(self, *, final: bool = False) -> bool:
        """Read on; whether anything was new."""
        new = {number: points for number, source in enumerate(self.sources) if (points := source.poll(final=final))}
        if not new:
            return False
        positions = {number: source.positions() for number, source in enumerate(self.sources)}
        with self._copy.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"points": new, "positions": positions}) + "\n")
        if self._resumed:
            for source in self.sources:
                source.drop_repeated()
        return True

    def source_of(self, tag: str) -> MetricSource | None:
        """The first source that has logged the tag."""
        return next((s for s in self.sources if any(point.tag == tag for point in s.points)), None)

    def points(self) -> list[Point]:
        """All points of all sources."""
        return [point for source in self.sources for point in source.points]

    def described(self, tag: str) -> str:
        """The source that has the tag, in words."""
        source = self.source_of(tag)
        return "" if source is None else source.described()

    def tags(self) -> list[str]:
        """All tags that were logged."""
        return sorted({point.tag for source in self.sources for point in source.points})

    def _restore(self) -> None:
        try:
            lines = self._copy.read_text(encoding="utf-8").split("\n")
        except OSError:
            return
        for line in lines:
            try:
                found = json.loads(line)
            except ValueError:
                continue  # torn by the end of the worker: its points are read again
            for number, source in enumerate(self.sources):
                points = [Point(*values) for values in found["points"].get(str(number), [])]
                source.restore(points, found["positions"].get(str(number), {}))
