"""A trainer's epoch report as plain numbers: scalars of NumPy and torch are numbers, anything else is named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

from sweeps.trials.objective import METRIC

LARGEST_WHOLE = 2**64  # what JSON's readers take as a whole number
MOST_VALUES = 10_000  # of an array: the journal is read as a whole


class ReportError(Exception):
    """An epoch report that is none: fails its trial, with the key's name and what it held."""


def plain_report(report: object) -> dict[str, Any]:
    """What `train_epoch` returned, with scalars, arrays and tensors as Python's numbers and lists of them.

    Raises:
        ReportError: it is no mapping, its objective is missing or no number, or a metric cannot be written as JSON.
    """
    if not isinstance(report, Mapping):
        raise ReportError(f"train_epoch() returned {_described(report)}; it must return a mapping with {METRIC!r}")
    found = plain_metrics(report)
    if found.get("diverged"):
        return found
    if METRIC not in found:
        raise ReportError(f"train_epoch() reported no {METRIC!r}; it reported: {', '.join(found) or 'nothing'}")
    value = found[METRIC]
    while isinstance(value, list) and len(value) == 1:
        value = found[METRIC] = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ReportError(f"train_epoch() reported {METRIC!r} as {_described(report[METRIC])}; it must be a number")
    return found


def plain_metrics(metrics: Mapping[str, object], source: str = "train_epoch()") -> dict[str, Any]:
    """Metrics by name as JSON can hold them; ReportError where one cannot be."""
    try:
        return {str(name): _plain(value, str(name)) for name, value in metrics.items()}
    except ReportError as error:
        raise ReportError(f"{source} reported {error}") from None


def _plain(value: object, name: str) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int) and abs(value) < LARGEST_WHOLE:
        return int(value)
    if isinstance(value, Real | Decimal) and not _is_array(value):
        return _float(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, f"{name}/{key}") for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry, name) for entry in value]
    if _is_array(value):
        values = getattr(value, "numel", lambda: getattr(value, "size", 1))()
        try:
            listed = value.tolist() if isinstance(values, int) and values <= MOST_VALUES else value  # type: ignore[attr-defined]
        except Exception:  # a tensor without data, or of a kind that has no values of its own
            listed = value
        if type(listed) is not type(value):
            return _plain(listed, name)
        if isinstance(value, Real):  # long doubles are their own list
            return _float(value)
    raise ReportError(f"{name!r} as {_described(value)}, which is no number, text or list of them; leave it out")


def _is_array(value: object) -> bool:
    """Whether it is a scalar or array of NumPy, a tensor of torch or anything of their kind."""
    return callable(getattr(value, "tolist", None))


def _float(value: Real | Decimal) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.nan  # it has no finite value here, whichever way it is too large


def _described(value: object) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    shape = getattr(value, "shape", None)
    if shape:
        return f"{name} of shape {tuple(shape)}"
    return name if value is None or not isinstance(value, str | int | float) else f"{name} {value!r}"[:120]
