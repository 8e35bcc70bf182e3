"""The values of --set KEY=VALUE."""

from __future__ import annotations

from collections.abc import Sequence


def settings(given: Sequence[str]) -> dict[str, object]:
    """By key, each value read as YAML; RequestError names what is neither."""
    from sweeps.common.errors import RequestError
    from sweeps.common.strict_yaml import parse_yaml

    found: dict[str, object] = {}
    for one in given:
        key, separator, value = one.partition("=")
        if not key or not separator:
            raise RequestError(f"--set {one!r}: expected KEY=VALUE")
        found[key] = parse_yaml(value, f"--set {one!r}")
    return found
