"""The values of --set KEY=VALUE."""

from __future__ import annotations

from collections.abc import Sequence


def settings(given: Sequence[str]) -> dict[str, object]:
    """By key, each value read as YAML; RequestError names what is neither."""
    import yaml

    from sweeps.errors import RequestError

    found: dict[str, object] = {}
    for one in given:
        key, separator, value = one.partition("=")
        if not key or not separator:
            raise RequestError(f"--set {one!r}: expected KEY=VALUE")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise RequestError(f"--set {one!r}: the value is not YAML") from error
    return found
