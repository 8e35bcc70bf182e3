"""The speech of a command, made ready for all that trains on it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xtts_sweep.terminal import PreparationProgress


@dataclass(frozen=True)
class Prepared:
    """What a trainer opens (`data`), what is known of it, and the same for people."""

    data: str
    summary: Mapping[str, Any]
    lines: Sequence[str] = field(default_factory=tuple)


def prepare(trainer: Any, options: argparse.Namespace) -> Prepared:
    """What the trainer's `prepare` makes of --data and --val-data; a trainer that has none opens --data itself."""
    make = getattr(trainer, "prepare", None)
    if make is None:
        data = options.data or ""
        return Prepared(data, {"data": data})
    with PreparationProgress() as progress:
        made = make(options.data, options.val_data, accept_unusable=options.accept_unusable, progress=progress)
    return Prepared(made.data, made.summary, made.lines())
