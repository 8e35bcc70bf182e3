"""Reads whole logs in bounded memory, as arrays, a piece at a time: for a diagnosis of files of any size.

The readers next to this module follow a growing log point by point, for a sweep that acts on each.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.external.readers.console import ConsoleParser
from sweeps.external.readers.point import MARK_BYTES, Point, flattened, json_object, step_in
from sweeps.external.readers.tables import CsvReader
from sweeps.external.readers.tensorboard import FOOTER, HEADER, LARGEST_RECORD, scalars
from sweeps.external.readers.wandb_offline import WandbReader

Floats = NDArray[np.float64]
Piece = Mapping[str, tuple[Floats, Floats]]
"""Steps and values of each tag, in the order of the log"""

PIECE_BYTES = 1 << 25
PIECE_POINTS = 200_000
LARGEST_SCALAR = 1 << 16
"""A longer event record is an image, audio or a histogram, and is skipped without being read"""
SMALL_CSV = 1 << 20
LARGEST_JSON = 1 << 28
LONGEST_LINE = 1 << 20


@dataclass
class LogStream:
    """One log file. `truncated` is known after the last piece: the file ends within a record."""

    kind: str
    """tensorboard, wandb, csv, jsonl, trainer_state, console or stderr, which is read as console output"""
    path: Path
    truncated: bool = False
    offset: int = 0
    """How much of the file was read"""
    _mark: bytes = b""
    _counts: dict[str, int] = field(default_factory=dict)
    _console: ConsoleParser = field(default_factory=ConsoleParser)

    def continues(self) -> bool:
        """Whether a further call of `pieces` gives just what was added: the file still begins with what was read.

        Tables and trainer states are written anew by their programs.
        """
        return self.kind not in ("csv", "trainer_state") and self._before_offset() == self._mark

    def pieces(self, *, final: bool = True) -> Iterator[Piece]:
        """The log, or what was added to it, without unreadable parts; `final`: a last line without its end counts."""
        self.truncated = False
        try:
            if self.kind == "tensorboard":
                yield from self._tensorboard()
            elif self.kind == "csv" and self.path.stat().st_size > SMALL_CSV:
                yield from self._large_csv()
            else:
                yield from self._from_points(self._points(final))
            self._mark = self._before_offset()
        except OSError:
            return

    def _before_offset(self) -> bytes:
        """The last bytes that were read, by which a file that was replaced is noticed."""
        with self.path.open("rb") as file:
            file.seek(max(0, self.offset - MARK_BYTES))
            return file.read(min(self.offset, MARK_BYTES))

    def _points(self, final: bool) -> Iterator[Point]:
        if self.kind == "wandb":
            reader = WandbReader(self.path, {"offset": self.offset})
            yield from reader.points()
            self.offset = int(str(reader.position["offset"]))
        elif self.kind == "csv":
            yield from CsvReader(self.path).read(final=True)
        elif self.kind == "trainer_state":
            yield from _trainer_state(self.path)
        elif self.kind == "jsonl":
            for line in self._lines(final):
                row = json_object(line)
                if row is not None:
                    step = step_in(row, None)
                    yield from (Point(step, tag, value) for tag, value in flattened(row))
        else:
            yield from self._console.points(self._lines(final))

    def _lines(self, final: bool) -> Iterator[str]:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            while line := file.readline(LONGEST_LINE):
                if not final and not line.endswith(b"\n") and len(line) < LONGEST_LINE:
                    return
                self.offset += len(line)
                yield line.decode("utf-8", errors="replace").rstrip("\r\n")

    def _from_points(self, points: Iterable[Point]) -> Iterator[Piece]:
        found: dict[str, tuple[list[float], list[float]]] = {}
        held = 0
        for point in points:
            steps, values = found.setdefault(point.tag, ([], []))
            count = self._counts[point.tag] = self._counts.get(point.tag, -1) + 1
            steps.append(count if point.step is None else point.step)
            values.append(point.value)
            held += 1
            if held >= PIECE_POINTS:
                yield _arrays(found)
                found, held = {}, 0
        yield _arrays(found)

    def _large_csv(self) -> Iterator[Piece]:
        import pandas as pd  # type: ignore[import-untyped]

        head = self.path.open("rb").readline(LONGEST_LINE).decode("utf-8-sig", errors="replace")
        delimiter = max(",;\t|", key=head.count)
        options = {"sep": delimiter, "chunksize": PIECE_POINTS, "on_bad_lines": "skip", "encoding_errors": "replace"}
        options |= {
            "keep_default_na": False,
            "na_values": [""],
        }  # a cell that says nan is a finding, an empty one is not
        rows = 0
        try:
            with pd.read_csv(self.path, **options) as parts:
                for part in parts:
                    part.columns = [str(name).strip() for name in part.columns]
                    numbers = part.apply(pd.to_numeric, errors="coerce")
                    named = next((n for n in ("step", "global_step", "_step", "epoch") if n in numbers), None)
                    counted = pd.Series(np.arange(rows, rows + len(part), dtype=float), index=part.index)
                    steps = numbers[named].ffill().fillna(0.0) if named else counted
                    rows += len(part)
                    yield {
                        name: (steps[there].to_numpy(float), numbers[name][there].to_numpy(float))
                        for name in numbers
                        if (there := numbers[name].notna() | _is_nan(part[name])).any()
                    }
        except (ValueError, pd.errors.ParserError):
            self.truncated = True

    def _tensorboard(self) -> Iterator[Piece]:
        with self.path.open("rb") as file:
            size, buffer, base = self.path.stat().st_size, b"", self.offset
            file.seek(base)
            while True:
                buffer += file.read(PIECE_BYTES)
                starts, at = _whole_records(buffer)
                if starts:
                    yield _scalars(buffer, starts, at)
                left = len(buffer) - at
                length = struct.unpack_from("<Q", buffer, at)[0] if left >= HEADER else 0
                base += at
                self.offset = base
                buffer = buffer[at:]
                if length > LARGEST_RECORD:  # not a record: the file is damaged from here on
                    self.truncated = True
                    return
                if length > LARGEST_SCALAR:
                    base += HEADER + length + FOOTER
                    self.offset = base if base <= size else self.offset
                    file.seek(base)
                    buffer = b""
                if file.tell() >= size or base >= size:
                    self.truncated = bool(buffer) or base > size
                    return


def _whole_records(buffer: bytes) -> tuple[list[int], int]:
    """Where the whole records at the beginning of `buffer` begin, and where the first one begins that is not taken."""
    length_of = struct.Struct("<Q").unpack_from
    starts, at, last = [], 0, len(buffer) - HEADER
    while at <= last:
        after = at + HEADER + length_of(buffer, at)[0] + FOOTER
        if after > len(buffer) or after > at + LARGEST_SCALAR:
            break
        starts.append(at)
        at = after
    return starts, at


def _scalars(buffer: bytes, starts: list[int], end: int) -> dict[str, tuple[Floats, Floats]]:
    """The scalars of whole records by tag.

    Records of add_scalar are decoded together, as a table of bytes for each length of a record: 16 million protobuf
    messages would take minutes. Anything else (tensors of TensorFlow 2) is read as a message.
    """
    found: dict[str, list[tuple[NDArray[np.int64], Floats, Floats]]] = {}
    content = np.frombuffer(buffer, np.uint8)
    begins = np.array(starts, np.int64)
    lengths = np.diff(np.append(begins, end)) - HEADER - FOOTER
    for length in np.unique(lengths):
        places = begins[lengths == length]
        rows = content[places[:, None] + (HEADER + np.arange(length))[None, :]]
        left = np.ones(len(rows), bool)
        if length > 9 and (plain := rows[:, 9] != 0x1A).any():  # 0x1A: the file's version, no scalar
            left = plain
            for bytes_of_step in range(11):
                taken = _plain_scalars(rows, bytes_of_step) & left
                if taken.any():
                    _collect(places[taken], rows[taken], bytes_of_step, found)
                    left &= ~taken
        for place in places[left].tolist():
            for point in _message(buffer[place + HEADER : place + HEADER + int(length)]):
                one = (np.array([place]), np.array([float(point.step or 0)]), np.array([point.value]))
                found.setdefault(point.tag, []).append(one)
    ordered = {}
    for tag, parts in found.items():
        place, step, value = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(place, kind="stable")
        ordered[tag] = (step[order], value[order])
    return ordered


def _plain_scalars(rows: NDArray[np.uint8], bytes_of_step: int) -> NDArray[np.bool_]:
    """Which rows are {time, step of so many bytes, summary {value {tag, simple_value}}} and nothing more."""
    length, at = rows.shape[1], 9 + (1 + bytes_of_step if bytes_of_step else 0)
    if at + 11 > length:
        return np.zeros(len(rows), bool)
    fits = (rows[:, 0] == 0x09) & (rows[:, at] == 0x2A) & (rows[:, at + 2] == 0x0A) & (rows[:, at + 4] == 0x0A)
    fits &= (rows[:, at + 5] == length - at - 11) & (rows[:, length - 5] == 0x15)
    if bytes_of_step:
        fits &= (rows[:, 9] == 0x10) & (rows[:, at - 1] < 0x80) & (rows[:, 10 : at - 1] >= 0x80).all(axis=1)
    return np.asarray(fits)


def _collect(
    places: NDArray[np.int64],
    rows: NDArray[np.uint8],
    bytes_of_step: int,
    found: dict[str, list[tuple[NDArray[np.int64], Floats, Floats]]],
) -> None:
    steps = np.zeros(len(rows), np.uint64)
    for at in range(bytes_of_step):
        steps |= (rows[:, 10 + at] & 0x7F).astype(np.uint64) << np.uint64(7 * at)
    values = np.ascontiguousarray(rows[:, -4:]).view("<f4")[:, 0].astype(float)
    start = 9 + (1 + bytes_of_step if bytes_of_step else 0) + 6
    names = rows[:, start:-5]
    left = np.arange(len(rows))
    while len(left):
        same = (names[left] == names[left[0]]).all(axis=1)
        here, name = left[same], names[left[0]].tobytes().decode("utf-8", errors="replace")
        found.setdefault(name, []).append((places[here], steps[here].astype(float), values[here]))
        left = left[~same]


def _message(data: bytes) -> list[Point]:
    from google.protobuf.message import DecodeError
    from tensorboardX.proto.event_pb2 import Event

    try:
        return list(scalars(Event.FromString(data)))
    except DecodeError:
        return []


def _arrays(found: Mapping[str, tuple[list[float], list[float]]]) -> Piece:
    return {tag: (np.array(steps, float), np.array(values, float)) for tag, (steps, values) in found.items()}


def _is_nan(column: Any) -> Any:
    """Which cells of a pandas column say so in words; a column without words has none."""
    if column.dtype.kind in "fiu":
        return np.zeros(len(column), bool)
    return column.astype(str).str.strip().str.lower().isin(["nan", "inf", "-inf"])


def _trainer_state(path: Path) -> Iterator[Point]:
    """The history in a trainer_state.json of HF's Trainer."""
    if path.stat().st_size > LARGEST_JSON:
        return
    try:
        history = json.loads(path.read_bytes())["log_history"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    for row in history if isinstance(history, list) else []:
        if isinstance(row, dict):
            step = step_in(row, None)
            yield from (Point(step, tag, value) for tag, value in flattened(row) if tag != "step")
