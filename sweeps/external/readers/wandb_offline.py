"""History of W&B offline runs (`run-*.wandb`): LevelDB-log blocks that hold W&B's protobuf records."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sweeps.external.readers.point import Point, flattened, number

MAGIC = b":W&B"
HEADER_BYTES = 7
BLOCK_BYTES = 32768
FULL, LAST = 1, 4


class WandbReader:
    """Follows one .wandb file, a block at a time."""

    def __init__(self, path: Path, position: Mapping[str, object] | None = None) -> None:
        self._path = path
        self._offset = int(str((position or {}).get("offset", 0)))

    @property
    def position(self) -> Mapping[str, object]:
        """Where the first record begins that was not read."""
        return {"offset": self._offset}

    def read(self, *, final: bool = False) -> list[Point]:
        """The scalars of new history records; names that begin with '_' are W&B's own."""
        return list(self.points())

    def points(self) -> Iterator[Point]:
        """The same one by one, for files of any size."""
        for record in self.messages():
            yield from _history(record)

    def messages(self) -> Iterator[Any]:
        """W&B's records, those that can be decoded."""
        from google.protobuf.message import DecodeError
        from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

        for data in self._records():
            record = Record()
            try:
                record.ParseFromString(data)
            except DecodeError:
                continue
            yield record

    def _records(self) -> Iterator[bytes]:
        """The bytes of whole records; one that is being written is left for the next call."""
        try:
            file = self._path.open("rb")
        except OSError:
            return
        with file:
            if file.read(len(MAGIC)) != MAGIC:
                return
            at, parts = max(self._offset, HEADER_BYTES), b""
            while True:
                file.seek(at)
                block = file.read(BLOCK_BYTES - at % BLOCK_BYTES)
                here, is_last = 0, (at + len(block)) % BLOCK_BYTES > 0 or not block
                while here + HEADER_BYTES <= len(block):
                    _, length, kind = struct.unpack_from("<IHB", block, here)
                    end = here + HEADER_BYTES + length
                    if kind == 0 or end > len(block):  # being written, or damaged up to the next block
                        parts = b""
                        break
                    parts += block[here + HEADER_BYTES : end]
                    here = end
                    if kind in (FULL, LAST):
                        self._offset = at + here
                        yield parts
                        parts = b""
                if is_last:
                    return
                at += len(block)


def _history(record: Any) -> Iterator[Point]:
    if record.WhichOneof("record_type") != "history":
        return
    row = values(record.history.item)
    step = number(row.get("_step"))
    at = int(step) if step is not None else int(record.history.step.num)
    media = tuple(key.removesuffix("_type") for key in row if key.endswith("/_type"))  # tables, images
    for key, value in row.items():
        if not key.startswith(("_", *media)):
            for tag, found in flattened(value, key):
                yield Point(at, tag, found, number(row.get("_timestamp")))


def values(items: Iterable[Any]) -> dict[str, object]:
    """The values in W&B's lists of key and JSON; None for what is no JSON."""
    return {"/".join(item.nested_key) or item.key: _value(item.value_json) for item in items}


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None
