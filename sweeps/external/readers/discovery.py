"""Finds the logs below a folder and reads them once: for the diagnosis of a run of any trainer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sweeps.external.readers.point import LogReader, Point, json_object
from sweeps.external.readers.tables import CsvReader, JsonLinesReader
from sweeps.external.readers.tensorboard import TensorBoardReader
from sweeps.external.readers.wandb_offline import WandbReader

KINDS = ("tensorboard", "wandb", "csv", "jsonl")
LARGEST_TEXT_BYTES = 1 << 28


@dataclass(frozen=True)
class LogSource:
    """A log file and its kind: tensorboard, wandb, csv or jsonl."""

    kind: str
    path: Path

    def reader(self) -> LogReader:
        """What reads it."""
        if self.kind == "tensorboard":
            return TensorBoardReader(self.path)
        if self.kind == "wandb":
            return WandbReader(self.path)
        return CsvReader(self.path) if self.kind == "csv" else JsonLinesReader(self.path)

    def points(self) -> list[Point]:
        """All its points."""
        return self.reader().read(final=True)


def find_logs(path: Path) -> list[LogSource]:
    """The logs at or below `path`, by kind and then by name; files that only look like logs yield no points."""
    files = [path] if path.is_file() else sorted(_files(path))
    found = [LogSource(kind, file) for file in files if (kind := kind_of(file)) is not None]
    return sorted(found, key=lambda source: (KINDS.index(source.kind), str(source.path)))


def read_log_folder(sources: Iterable[LogSource]) -> Iterator[Point]:
    """The points of several files, in the order in which they were logged as far as the logs say so."""
    points = [(point.time if point.time is not None else 0.0, point) for source in sources for point in source.points()]
    yield from (point for _, point in sorted(points, key=lambda item: item[0]))


def kind_of(path: Path) -> str | None:
    """What a file is, by its name and, for JSON lines, its first line."""
    name = path.name.lower()
    if "tfevents" in name:
        return "tensorboard"
    if name.endswith(".wandb"):
        return "wandb"
    if name.endswith((".csv", ".tsv")):
        return "csv"
    # A .json file with one line is a config.
    if name.endswith((".jsonl", ".ndjson", ".json", ".log", ".txt")) and _begins_with_objects(
        path, 2 if name.endswith(".json") else 1
    ):
        return "jsonl"
    return None


def _begins_with_objects(path: Path, count: int) -> bool:
    try:
        if path.stat().st_size > LARGEST_TEXT_BYTES:
            return False
        with path.open("rb") as file:
            lines = [file.readline(1 << 20) for _ in range(count)]
    except OSError:
        return False
    return all(json_object(line.decode("utf-8", errors="replace")) is not None for line in lines)


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path
