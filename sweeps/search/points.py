"""Configs as points: of the unit cube over the searched parameters, and encoded as the Gaussian process sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sweeps.space.limits import Limits
from sweeps.space.parameter import Parameter
from sweeps.space.space import Space
from sweeps.trials.record import TrialRecord, searched_values


def points_of(space: Space, records: Sequence[TrialRecord]) -> np.ndarray:
    """The configs as the process sees them, [records inside this space, columns]."""
    points = [point for record in records if (point := point_of(space, record)) is not None]
    width = encoded(space, np.zeros((1, len(space.searched)))).shape[1]
    return np.array(points).reshape(-1, width)


def point_of(space: Space, record: TrialRecord) -> np.ndarray | None:
    """A trial's config as the process sees it; None where it lies outside this space."""
    values = searched_values(space, record)
    units = [parameter.unit(values.get(parameter.name)) for parameter in space.searched]
    given = [unit for unit in units if unit is not None]
    return encoded(space, np.array([given]))[0] if len(given) == len(units) else None


def encoded(space: Space, units: np.ndarray) -> np.ndarray:
    """Unit-cube points [n, searched] with a column for each value of a categorical parameter, all equally far apart."""
    columns = []
    for parameter, column in zip(space.searched, units.T, strict=True):
        if parameter.distribution != "categorical":
            columns.append(column[:, None])
            continue
        index = np.minimum((column * len(parameter.values)).astype(int), len(parameter.values) - 1)
        columns.append(np.eye(len(parameter.values))[index] / math.sqrt(2))
    return np.hstack(columns)


def units_of(space: Space, points: np.ndarray) -> np.ndarray:
    """The inverse of `encoded`; a category comes back as the middle of its share."""
    columns, at = [], 0
    for parameter in space.searched:
        width = _width(parameter)
        part = points[:, at : at + width]
        columns.append(part[:, 0] if parameter.distribution != "categorical" else (part.argmax(1) + 0.5) / width)
        at += width
    return np.stack(columns, axis=1)


def _width(parameter: Parameter) -> int:
    return len(parameter.values) if parameter.distribution == "categorical" else 1


def within(space: Space, limits: Limits, candidates: np.ndarray) -> np.ndarray:
    """The points whose ratios some common factor keeps inside the limits."""
    if space.ratios is None:
        return candidates
    return candidates[[space.feasible(units.tolist(), limits) for units in candidates]]
