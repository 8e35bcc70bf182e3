"""Scalars of TensorBoard event files, as torch and as TensorFlow 2 write them, without TensorFlow.

File format: TFRecord (length, checksum, data, checksum) around Event messages, whose definition tensorboardX brings.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweeps.external.readers.point import Point, Tail

HEADER, FOOTER = 12, 4
LARGEST_RECORD = 1 << 28
TENSOR_FORMATS = {1: "f", 2: "d", 3: "i", 9: "q"}  # DT_FLOAT, DT_DOUBLE, DT_INT32, DT_INT64
TENSOR_FIELDS = {1: "float_val", 2: "double_val", 3: "int_val", 9: "int64_val"}


class TensorBoardReader:
    """Follows one event file."""

    def __init__(self, path: Path, position: Mapping[str, object] | None = None) -> None:
        self._tail = Tail(path, position)

    @property
    def position(self) -> Mapping[str, object]:
        """How far the file was read."""
        return self._tail.position

    def read(self, *, final: bool = False) -> list[Point]:
        """The scalars of whole records; half a record waits for its rest."""
        from google.protobuf.message import DecodeError
        from tensorboardX.proto.event_pb2 import Event

        content, _ = self._tail.look()
        at = 0
        points: list[Point] = []
        while len(content) - at >= HEADER:
            (length,) = struct.unpack_from("<Q", content, at)
            if length > LARGEST_RECORD or len(content) - at < HEADER + length + FOOTER:
                break
            data = content[at + HEADER : at + HEADER + length]
            at += HEADER + length + FOOTER
            try:
                points += scalars(Event.FromString(data))
            except DecodeError:
                continue
        self._tail.take(content[:at])
        return points


def scalars(event: Any) -> Iterator[Point]:
    """The scalars of an event message."""
    for value in event.summary.value:
        found = _scalar(value)
        if found is not None:
            yield Point(int(event.step), str(value.tag), found, float(event.wall_time))


def _scalar(value: Any) -> float | None:
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor"):
        return None
    tensor = value.tensor
    kind, sizes = tensor.dtype, [dim.size for dim in tensor.tensor_shape.dim]
    if kind not in TENSOR_FORMATS or any(size != 1 for size in sizes):
        return None
    if tensor.tensor_content:
        format_ = "<" + TENSOR_FORMATS[kind]
        return (
            float(struct.unpack(format_, tensor.tensor_content)[0])
            if len(tensor.tensor_content) == struct.calcsize(format_)
            else None
        )
    values = getattr(tensor, TENSOR_FIELDS[kind])
    return float(values[0]) if values else None
