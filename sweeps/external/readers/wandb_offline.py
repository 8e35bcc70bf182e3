"""History of W&B offline runs (`run-*.wandb`): LevelDB-log blocks that hold W&B's protobuf records."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweeps.external.readers.point import Point, flattened, number

HEADER_BYTES = 7
BLOCK_BYTES = 32768
FULL, LAST = 1, 4


class WandbReader:
    """Follows one .wandb file. It is read from its beginning each time: records may cross blocks."""

    def __init__(self, path: Path, position: Mapping[str, object] | None = None) -> None:
        self._path = path
        self._records = int(str((position or {}).get("records", 0)))

    @property
    def position(self) -> Mapping[str, object]:
        """How many records were read."""
        return {"records": self._records}

    def read(self, *, final: bool = False) -> list[Point]:
        """The scalars of new history records; names that begin with '_' are W&B's own."""
        try:
            content = self._path.read_bytes()
        except OSError:
            return []
        points: list[Point] = []
        count = 0
        for count, record in enumerate(_records(content), 1):
            if count > self._records:
                points += _history(record)
        self._records = max(self._records, count)
        return points


def _records(content: bytes) -> Iterator[Any]:
    from google.protobuf.message import DecodeError
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    if not content.startswith(b":W&B"):
        return
    at, parts = HEADER_BYTES, b""
    while at + HEADER_BYTES <= len(content):
        left = BLOCK_BYTES - at % BLOCK_BYTES
        if left < HEADER_BYTES:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        end = at + HEADER_BYTES + length
        if kind == 0 or end > len(content):  # the block is being written
            return
        parts += content[at + HEADER_BYTES : end]
        at = end
        if kind in (FULL, LAST):
            record = Record()
            try:
                record.ParseFromString(parts)
                yield record
            except DecodeError:
                pass
            parts = b""


def _history(record: Any) -> Iterator[Point]:
    if record.WhichOneof("record_type") != "history":
        return
    row = {"/".join(item.nested_key) or item.key: _value(item.value_json) for item in record.history.item}
    step = number(row.get("_step"))
    at = int(step) if step is not None else int(record.history.step.num)
    for key, value in row.items():
        if not key.startswith("_"):
            for tag, found in flattened(value, key):
                yield Point(at, tag, found, number(row.get("_timestamp")))


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None
