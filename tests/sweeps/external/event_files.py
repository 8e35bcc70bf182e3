"""Writes TensorBoard event files record by record and at once, for tests that read while they grow."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path


def record(step: int, values: Mapping[str, float], time: float = 1.0) -> bytes:
    """One event with these scalars."""
    from tensorboardX.proto.event_pb2 import Event

    event = Event(step=step, wall_time=time)
    for tag, value in values.items():
        event.summary.value.add(tag=tag, simple_value=value)
    return framed(event.SerializeToString())


def framed(data: bytes) -> bytes:
    """A TFRecord; its checksums are left 0."""
    return struct.pack("<QI", len(data), 0) + data + struct.pack("<I", 0)


def append(path: Path, content: bytes) -> None:
    """Add to a file, which may be new."""
    with path.open("ab") as file:
        file.write(content)
