"""A user's belief about a parameter: where the best value is expected, and how sure that is.

Half of the first design is drawn from the beliefs, and the acquisition is weighted by them with a weight that falls
with the number of full-length trials: Hvarfner et al., piBO: Augmenting Acquisition Functions with User Beliefs for
Bayesian Optimization (ICLR 2022), equation 6. A wrong belief costs some trials, and is then overruled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.common.errors import RequestError, meant
from sweeps.space.parameter import Parameter
from sweeps.space.space import Space

USUAL_SPREAD = 0.15  # of the unit interval, where no sd is given
LEAST_SPREAD = 0.02
WEIGHT = 4.0  # of the beliefs' logarithm against the expected improvement's, divided by the full-length trials


@dataclass(frozen=True)
class Prior:
    """A normal belief on the unit interval of the parameter: in its logarithm where the parameter is logarithmic."""

    name: str
    value: float
    sd: float | None
    centre: float
    spread: float

    def __str__(self) -> str:
        return f"{self.name}={self.value:g}" + ("" if self.sd is None else f":{self.sd:g}")


def prior_from_text(text: str, space: Space) -> Prior:
    """A belief from `NAME=VALUE[:SD]`, both in the parameter's own units; RequestError for anything else."""
    name, _, rest = text.partition("=")
    value_text, _, sd_text = rest.partition(":")
    known = {parameter.name: parameter for parameter in space.searched if parameter.distribution != "categorical"}
    if name not in known:
        raise RequestError(f"--prior {text}: {name!r} is no searched number; {meant(name, known)}")
    try:
        value, sd = float(value_text), float(sd_text) if sd_text else None
    except ValueError:
        raise RequestError(f"--prior {text}: expected {name}=VALUE or {name}=VALUE:SD") from None
    parameter = known[name]
    centre = parameter.unit(value)
    if centre is None:
        raise RequestError(f"--prior {text}: {value:g} lies outside {parameter.min!r} to {parameter.max!r}")
    if sd is not None and not 0 < sd < float("inf"):
        raise RequestError(f"--prior {text}: the sd must be above 0")
    spread = USUAL_SPREAD if sd is None else max(_spread(parameter, value, sd), LEAST_SPREAD)
    return Prior(name, value, sd, centre, spread)


def _spread(parameter: Parameter, value: float, sd: float) -> float:
    """The sd as a share of the unit interval; on a logarithmic scale that of a step of one sd upwards."""
    low, high = float(parameter.min or 0.0), float(parameter.max or 0.0)
    if parameter.logarithmic:
        return float(np.log1p(sd / value) / np.log(high / low))
    return sd / (high - low)


def drawn_from(priors: Sequence[Prior], space: Space, units: np.ndarray) -> np.ndarray:
    """A uniform point of the unit cube moved to where the beliefs expect the best: their quantiles, inside 0 to 1."""
    from scipy.stats import truncnorm

    moved = np.array(units, dtype=float)
    places = {parameter.name: place for place, parameter in enumerate(space.searched)}
    for prior in priors:
        low, high = -prior.centre / prior.spread, (1 - prior.centre) / prior.spread
        moved[places[prior.name]] = truncnorm.ppf(moved[places[prior.name]], low, high, prior.centre, prior.spread)
    return np.asarray(np.clip(moved, 0.0, 1.0))


def log_belief(priors: Sequence[Prior], space: Space, units: np.ndarray, ends: int) -> np.ndarray:
    """What to add to the logarithm of the acquisition at points [n, searched], after `ends` full-length trials."""
    found = np.zeros(len(units))
    places = {parameter.name: place for place, parameter in enumerate(space.searched)}
    for prior in priors:
        found -= 0.5 * ((units[:, places[prior.name]] - prior.centre) / prior.spread) ** 2
    return np.asarray(WEIGHT / max(ends, 1) * found)
