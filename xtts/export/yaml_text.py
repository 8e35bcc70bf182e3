"""Values as YAML text that PyYAML reads back as the same value and type."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal

import yaml

from xtts.export.errors import ExportError


def yaml_value(value: object) -> str:
    """A scalar or a list of scalars as one line of YAML. Small floats as 1.0e-04: PyYAML takes 1e-4 for a string.

    Raises ExportError for a value of any other kind.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z][\w.-]*", value) and yaml.safe_load(value) == value
        return value if plain else yaml.safe_dump(value, default_style='"', width=math.inf, allow_unicode=True).strip()
    if isinstance(value, Sequence):
        return f"[{', '.join(yaml_value(part) for part in value)}]"
    raise ExportError(f"cannot write {value!r} ({type(value).__name__}) into a config; give a number, text or a list")


def _float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    if value == 0 or 1e-3 <= abs(value) < 1e16:
        return repr(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    fraction = "".join(map(str, digits[1:])) or "0"
    return f"{'-' if sign else ''}{digits[0]}.{fraction}e{exponent + len(digits) - 1:+03d}"
