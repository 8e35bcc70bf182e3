"""Placeholders such as {seed} in commands, settings and environment values of a spec."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

PLACEHOLDER = re.compile(r"\{([A-Za-z_][\w.]*|newest:[^{}]*)\}")
NEWEST = "newest:"
BUILT_IN = (
    "python",
    "config",
    "folder",
    "seed",
    "epochs",
    "data",
    "threads",
    "gpus",
    "attempt",
    "trial_id",
    "spec_folder",
    "shipped",
)
LISTS = ("args", "overrides", "resume")
"""Whole items of the command that stand for several: --key value, key=value, the arguments that resume"""


def placeholders_in(value: object) -> Iterator[str]:
    """The names of the placeholders in a text, or in the texts of a list or mapping."""
    if isinstance(value, str):
        yield from PLACEHOLDER.findall(value)
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from placeholders_in(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from placeholders_in(entry)


def filled(value: object, values: Mapping[str, object]) -> object:
    """`value` with its placeholders replaced. A text that is one placeholder keeps that value's type."""
    if isinstance(value, list):
        return [filled(entry, values) for entry in value]
    if isinstance(value, Mapping):
        return {key: filled(entry, values) for key, entry in value.items()}
    if not isinstance(value, str):
        return value
    whole = PLACEHOLDER.fullmatch(value)
    if whole and whole.group(1) in values:
        return values[whole.group(1)]
    return PLACEHOLDER.sub(lambda m: as_text(values[m.group(1)]) if m.group(1) in values else m.group(), value)


def as_text(value: object) -> str:
    """A value as a program takes it on its command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
