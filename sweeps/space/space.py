"""A search space: what may be tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import cast

from sweeps.space.configuration import Configuration
from sweeps.space.limits import NO_LIMITS, Limits
from sweeps.space.parameter import Parameter, Value
from sweeps.space.ratios import Ratios

SMALL_SPACE = 1000  # configs, up to which a space is listed instead of drawn from


@dataclass(frozen=True)
class Space:
    """Parameters to search, values that are fixed, and for `controls` the configs to run as they stand."""

    name: str
    parameters: tuple[Parameter, ...] = ()
    description: str = ""
    fixed: Mapping[str, object] = field(default_factory=dict)
    ratios: Ratios | None = None
    controls: bool = False
    trials: tuple[Configuration, ...] = ()
    source: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    ignored: tuple[str, ...] = field(default=(), compare=False)
    """Keys of a W&B sweep file that were not read"""
    assumed: tuple[str, ...] = field(default=(), compare=False)
    """Defaults that a W&B sweep file does not have, each with where it comes from"""

    @property
    def searched(self) -> tuple[Parameter, ...]:
        """The parameters with more than one value, in the space's order."""
        return tuple(parameter for parameter in self.parameters if parameter.searched)

    @property
    def hyperparameters(self) -> list[str]:
        """The trainer's parameter names that the space sets, in order."""
        names: dict[str, None] = {}
        for config in self.trials:
            names |= dict.fromkeys(config.params)
        if self.ratios is not None:
            names |= dict.fromkeys(self.ratios.hyperparameters)
        names |= {parameter.name: None for parameter in self.parameters if not self._is_ratio(parameter)}
        return list(names)

    def default(self, limits: Limits = NO_LIMITS) -> Configuration:
        """The config of trial 1, against which every other is judged."""
        if self.controls:
            return self.trials[0]
        return self.configuration({parameter.name: parameter.default for parameter in self.parameters}, limits)

    def at(self, units: Sequence[float], limits: Limits = NO_LIMITS) -> Configuration:
        """The config at a point of the unit cube over the searched parameters."""
        values: dict[str, Value] = {parameter.name: parameter.default for parameter in self.parameters}
        for parameter, unit in zip(self.searched, units, strict=True):
            values[parameter.name] = parameter.at(unit)
        return self.configuration(values, limits)

    def feasible(self, units: Sequence[float], limits: Limits) -> bool:
        """Whether a point of the unit cube is inside the limits as it stands, without being drawn inside."""
        if self.ratios is None:
            return True
        values = {p.name: cast(float, p.default) for p in self.parameters if self._is_ratio(p)}
        for parameter, unit in zip(self.searched, units, strict=True):
            if self._is_ratio(parameter):
                values[parameter.name] = cast(float, parameter.at(unit))
        return self.ratios.feasible(values, limits)

    def grid(self, limits: Limits, most: int = SMALL_SPACE) -> list[Configuration] | None:
        """All configs, in order, where the space holds at most `most` of them."""
        values = [parameter.grid(most) for parameter in self.searched]
        listed = [known for known in values if known is not None]
        if self.controls or self.ratios is not None or len(listed) < len(values) or prod(map(len, listed)) > most:
            return None
        defaults: dict[str, Value] = {parameter.name: parameter.default for parameter in self.parameters}
        names = [parameter.name for parameter in self.searched]
        combinations = product(*listed)
        return [self.configuration({**defaults, **dict(zip(names, c, strict=True))}, limits) for c in combinations]

    def configuration(self, values: Mapping[str, Value], limits: Limits = NO_LIMITS) -> Configuration:
        """The config for values of the space's parameters: ratios become hyperparameters inside the limits."""
        if self.ratios is None:
            return Configuration(dict(values))
        ratios = {name: cast(float, values[name]) for name in self.ratios.pairs}
        defaults = {p.name: cast(float, p.default) for p in self.parameters if self._is_ratio(p)}
        inside = self.ratios.inside(ratios, defaults, limits)
        rest = {name: value for name, value in values.items() if name not in ratios}
        hyperparameters: dict[str, object] = dict(self.ratios.to_hyperparameters(inside, limits))
        rounded = {p.name: p.rounded(inside[p.name]) for p in self.parameters if self._is_ratio(p)}
        return Configuration(hyperparameters | rest, coordinates=rounded)

    def _is_ratio(self, parameter: Parameter) -> bool:
        return self.ratios is not None and parameter.name in self.ratios.pairs


def beyond_limits(space: Space, fixed: Mapping[str, object], limits: Limits, *, allow_unsafe: bool) -> list[str]:
    """Where the space or a fixed value (--set) can leave the limits, a line each; none where that is asked for."""
    if space.controls or allow_unsafe:
        return []
    problems = [f"--set {problem}" for problem in limits.problems(fixed)]
    problems += [f"space {space.name}, set: {problem}" for problem in limits.problems(space.fixed)]
    for parameter in space.parameters:
        limit = limits.by_name.get(parameter.name)
        if limit is None:
            continue
        ends = parameter.values or (parameter.min, parameter.max)
        problems += [f"space {space.name}: {problem}" for problem in map(limit.problem, ends) if problem]
    default = space.default(limits)
    if space.ratios is not None and not limits.hold(default.params):
        problems.append(f"space {space.name}: no common factor keeps its default inside the limits")
    return [*problems[:-1], f"{problems[-1]}; --allow-unsafe runs such trials as controls"] if problems else []
