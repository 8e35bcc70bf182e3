"""Reads .wandb files with nothing of this project: LevelDB-log blocks that hold W&B's own protobuf records."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

HEADER_BYTES = 7
BLOCK_BYTES = 32768
FULL, LAST = 1, 4


def read_records(path: Path) -> list[Any]:
    """All records of one file, in order."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, parts, found = path.read_bytes(), HEADER_BYTES, b"", []
    assert content.startswith(b":W&B")
    while at + HEADER_BYTES <= len(content):
        left = BLOCK_BYTES - at % BLOCK_BYTES
        if left < HEADER_BYTES:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + HEADER_BYTES])
        if at + HEADER_BYTES + length > len(content):
            break  # still being written
        parts += content[at + HEADER_BYTES : at + HEADER_BYTES + length]
        at += HEADER_BYTES + length
        if kind in (FULL, LAST):
            record = Record()
            record.ParseFromString(parts)
            found.append(record)
            parts = b""
    return found


class WandbFile:
    """What one fragment of a run holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = read_records(path)
        self.run = next(record.run for record in self.records if record.WhichOneof("record_type") == "run")
        self.config = {item.key: json.loads(item.value_json) for item in self.run.config.update}
        self.history = [_items(record.history.item) for record in self._of("history")]
        self.steps = [record.history.step.num for record in self._of("history")]
        self.summary: dict[str, Any] = {}
        for record in self._of("summary"):
            self.summary |= _items(record.summary.update)
        self.artifacts = {record.artifact.name: record.artifact for record in self._of("artifact")}
        self.step_metrics = {record.metric.glob_name: record.metric.step_metric for record in self._of("metric")}
        self.exit_codes = [record.exit.exit_code for record in self._of("exit")]

    def _of(self, kind: str) -> list[Any]:
        return [record for record in self.records if record.WhichOneof("record_type") == kind]


def read_runs(folder: Path) -> dict[str, list[WandbFile]]:
    """The fragments in a run's wandb/ by what their ids end with (t0001, sweep), oldest first."""
    found: dict[str, list[WandbFile]] = {}
    for path in sorted(folder.glob("*/*.wandb")):
        one = WandbFile(path)
        found.setdefault(one.run.run_id.split("-")[-1], []).append(one)
    for fragments in found.values():
        fragments.sort(key=lambda one: one.run.start_time.ToNanoseconds())
    return found


def _items(items: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        *outer, last = list(item.nested_key) or [item.key]
        place = found
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = json.loads(item.value_json)
    return found
