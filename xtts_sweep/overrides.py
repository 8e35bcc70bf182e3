"""The values of --set KEY=VALUE."""

from __future__ import annotations

import re
from collections.abc import Sequence

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+")


def settings(given: Sequence[str]) -> dict[str, object]:
    """By key, each value read as YAML; RequestError names what is neither."""
    import yaml

    from sweeps.common.errors import RequestError

    found: dict[str, object] = {}
    for one in given:
        key, separator, value = one.partition("=")
        if not key or not separator:
            raise RequestError(f"--set {one!r}: expected KEY=VALUE")
        try:
            found[key] = _number_or(yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise RequestError(f"--set {one!r}: the value is not YAML") from error
    return found


def _number_or(value: object) -> object:
    """Only YAML 1.1 takes 2e-3 for a word."""
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value)
    return value
