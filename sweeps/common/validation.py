"""Problems of a pydantic model in one line each: the key, what was given, and what was meant."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from sweeps.common.errors import meant


def is_number_text(value: object) -> bool:
    """Whether a value is a text that reads as a finite number."""
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


def unknown_keys(given: Mapping[str, object], model: type[BaseModel], hidden: Iterable[str] = ()) -> list[str]:
    """A line for each key that the model does not have; `hidden` are fields that no file sets."""
    known = [field.alias or name for name, field in model.model_fields.items() if name not in hidden]
    return [f"unknown key {key!r}; {meant(str(key), known)}" for key in given if key not in known]


def problems_of(error: ValidationError) -> list[str]:
    """One line for each problem that pydantic found, in the order of the fields."""
    lines: dict[str, str] = {}
    for found in error.errors(include_url=False):
        parts = [part for part in found["loc"] if not _is_branch(part)]
        where = ", ".join(f"entry {part + 1}" if isinstance(part, int) else part for part in parts)
        again = where in lines and found["type"] in _WANTED  # one line for all the types of a union
        kind = "union" if again and lines[where] != _line(found["type"], where, found) else found["type"]
        lines[where if found["type"] != "value_error" else str(found["msg"])] = _line(kind, where, found)
    return [" ".join(line.split()) for line in lines.values()]


def _line(kind: str, where: str, found: Mapping[str, Any]) -> str:
    given, context = found["input"], found.get("ctx", {})
    if kind == "value_error":  # raised by our own validators, in our own words
        return str(context.get("error", found["msg"]))
    if kind == "literal_error":
        words = [word.strip(" '") for word in str(context["expected"]).replace(" or ", ",").split(",")]
        return f"unknown {where} {given!r}; {meant(str(given), words)}"
    inside, _, last = where.rpartition(", ")
    prefix = f"{inside}: " if inside else ""
    if kind == "missing":
        return f"{prefix}needs {last}"
    if kind == "extra_forbidden":
        return f"{prefix}unknown key {last!r}"
    return f"{where} {given!r} {_WANTED.get(kind, found['msg'][0].lower() + found['msg'][1:])}"


def _is_branch(part: object) -> bool:
    """Whether a part of a location only says which type of a union was tried."""
    return isinstance(part, str) and part in ("int", "float", "str", "bool", "none", "constrained-float")


_WANTED = {
    "union": "is not a finite number, a word, true or false",
    "too_short": "has too few entries",
    "too_long": "has too many entries",
    **dict.fromkeys(("finite_number", "int_type", "float_type"), "is not a finite number"),
    "string_type": "is not a word",
    "bool_type": "is neither true nor false",
    "list_type": "is not a list",
    "tuple_type": "is not a list",
    "dict_type": "is not a list of names with values",
    "model_type": "is not a list of names with values",
    "mapping_type": "is not a list of names with values",
}
