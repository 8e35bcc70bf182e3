"""Small response surfaces fitted on trials: which hyperparameters act on the log objective, and which only through
their ratio."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column = NDArray[np.float64]

FEWEST_TRIALS = 10
ACTS = 0.01
IDLE = 0.05
IDLE_SHARE = 1 / 3


@dataclass(frozen=True, slots=True)
class Shared:
    """Hyperparameters that act through their ratio or product alone: effects are ranges of the fitted log objective."""

    names: tuple[str, ...]
    through: str
    acts: float
    idle: float
    p_idle: float


@dataclass(frozen=True, slots=True)
class Effect:
    """How far one hyperparameter moves the fitted log objective over the trials, and the p of its having no effect."""

    name: str
    range: float
    p: float


def hyperparameter_effects(
    hyperparameters: Mapping[str, Sequence[float]], log_objective: Sequence[float]
) -> tuple[Effect, ...]:
    """Each one's own effect in an additive model, quadratic in its logarithm; empty where the trials are too few."""
    import numpy as np

    columns = _varied(hyperparameters)
    target = np.asarray(log_objective, float)
    terms = {name: _curve(column) for name, column in columns.items()}
    if len(target) < FEWEST_TRIALS or len(target) < 2 * len(terms) + 4:
        return ()
    effects = []
    for name, own in terms.items():
        others = [column for other, parts in terms.items() if other != name for column in parts]
        test = _nested(target, others, list(own))
        effects.append(Effect(name, test.range, test.p))
    return tuple(effects)


def hyperparameters_that_act_as_one(
    hyperparameters: Mapping[str, Sequence[float]], log_objective: Sequence[float]
) -> Shared | None:
    """The pair or triple whose ratio (or product) explains the trials best, if its common scale does nothing.

    Polynomials of degree 1 or 2 in the logarithms, each group's ratios plus any others, compete with models of
    parameters that act on their own; the lowest corrected Akaike criterion wins (Hurvich and Tsai 1989). If that is a
    group, two nested F tests must agree: what acts has p < .01, what is idle p > .05 and under a third of that effect.
    """
    import numpy as np

    columns = _varied(hyperparameters)
    target = np.asarray(log_objective, float)
    if len(target) < FEWEST_TRIALS:
        return None
    models = [model for degree in (1, 2) for model in _models(columns, degree)]
    best = min(models, key=lambda model: _criterion([*model.base, *model.acting], target))
    if best.names is None or best.idling is None:
        return None
    acts = _nested(target, best.base, best.acting)
    idle = _nested(target, [*best.base, *best.acting], _curve(best.idling))
    if not acts.p < ACTS or not idle.p > IDLE or idle.range > IDLE_SHARE * acts.range:
        return None
    return Shared(best.names, best.through, acts.range, idle.range, idle.p)


@dataclass(frozen=True, slots=True)
class _Model:
    """A candidate: `base` terms of single parameters, and `acting` terms of a group without its scale `idling`."""

    base: list[Column]
    acting: list[Column]
    names: tuple[str, ...] | None = None
    through: str = ""
    idling: Column | None = None


@dataclass(frozen=True, slots=True)
class _Test:
    """What added terms explain: the range of their fitted part and the p of the F test."""

    range: float
    p: float


def _models(columns: Mapping[str, Column], degree: int) -> list[_Model]:
    found = [_Model(_own(columns, names, degree), []) for names in _subsets(tuple(columns))]
    for size in (2, 3):
        for group in itertools.combinations(columns, size):
            logs = [columns[name] for name in group]
            ratios, scale = [log - logs[0] for log in logs[1:]], sum(logs[1:], logs[0]) / size
            for names in _subsets(tuple(name for name in columns if name not in group)):
                own = _own(columns, names, degree)
                through = "ratio" if size == 2 else "ratios"
                found.append(_Model(own, _surface(ratios, degree), group, through, scale))
                if size == 2:
                    found.append(_Model(own, _surface([scale], degree), group, "product", ratios[0]))
    return found


def _subsets(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [chosen for size in range(len(names) + 1) for chosen in itertools.combinations(names, size)]


def _own(columns: Mapping[str, Column], names: Sequence[str], degree: int) -> list[Column]:
    return [part for name in names for part in _curve(columns[name])[:degree]]


def _surface(ratios: Sequence[Column], degree: int) -> list[Column]:
    terms = [part for ratio in ratios for part in _curve(ratio)[:degree]]
    if degree == 2:
        terms += [_curve(one)[0] * _curve(other)[0] for one, other in itertools.combinations(ratios, 2)]
    return terms


def _criterion(terms: Sequence[Column], target: Column) -> float:
    import numpy as np

    design = np.column_stack([np.ones_like(target), *terms])
    count, used = len(target), design.shape[1] + 1
    if count <= used + 1:
        return math.inf
    left = max(_residual(design, target)[1], 1e-20)
    return float(count * math.log(left / count) + 2 * used + 2 * used * (used + 1) / (count - used - 1))


def _varied(hyperparameters: Mapping[str, Sequence[float]]) -> dict[str, Column]:
    import numpy as np

    logs = {
        name: np.log(np.asarray(values, float))
        for name, values in hyperparameters.items()
        if all(value > 0 for value in values)
    }
    return {name: column for name, column in logs.items() if len(column) > 1 and float(column.std()) > 0.05}


def _curve(column: Column) -> tuple[Column, Column]:
    spread = float(column.std()) or 1.0
    unit = (column - column.mean()) / spread
    return unit, unit**2


def _nested(target: Column, base: Sequence[Column], added: Sequence[Column]) -> _Test:
    import numpy as np
    from scipy import stats

    ones = np.ones_like(target)
    small, full = np.column_stack([ones, *base]), np.column_stack([ones, *base, *added])
    before = _residual(small, target)[1]
    weights, after = _residual(full, target)
    used = int(np.linalg.matrix_rank(full))
    gained, free = used - int(np.linalg.matrix_rank(small)), len(target) - used
    part = full[:, small.shape[1] :] @ weights[small.shape[1] :]
    spread = float(part.max() - part.min())
    if gained <= 0 or free <= 0:
        return _Test(0.0, math.nan)
    if after <= 1e-18 * len(target):
        return _Test(spread, 0.0 if before > 1e-15 * len(target) else 1.0)
    return _Test(spread, float(stats.f.sf((before - after) / gained / (after / free), gained, free)))


def _residual(design: Column, target: Column) -> tuple[Column, float]:
    import numpy as np

    weights = np.asarray(np.linalg.lstsq(design, target, rcond=None)[0], dtype=np.float64)
    left = target - design @ weights
    return weights, float(left @ left)
