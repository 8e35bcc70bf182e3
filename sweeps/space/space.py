"""A search space: what may be tried, read from a YAML file in W&B's parameter words, all errors at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources import files
from itertools import product
from math import prod
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError

from sweeps.common.errors import RequestError
from sweeps.common.strict_yaml import read_yaml_mapping
from sweeps.common.validation import problems_of, unknown_keys
from sweeps.space.configuration import Configuration
from sweeps.space.limits import NO_LIMITS, Limits
from sweeps.space.parameter import Number, Parameter, Value, parameter_from_mapping
from sweeps.space.ratios import Ratios

SMALL_SPACE = 1000  # configs, up to which a space is listed instead of drawn from
SPACES_FOLDER = Path(str(files("search_spaces")))


class ListedTrial(BaseModel):
    """A config that a space of controls runs as it stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: StrictStr
    params: dict[StrictStr, Value]


class SpaceFile(BaseModel):
    """The keys of a space file. `parameters` are checked one by one (sweeps/space/parameter.py)."""

    model_config = ConfigDict(frozen=True)

    name: Any = None
    description: Any = ""
    parameters: dict[StrictStr, Any] = {}
    fixed: dict[StrictStr, Value] = Field({}, alias="set")
    ratios: dict[StrictStr, tuple[StrictStr, StrictStr]] | None = None
    scale: Annotated[dict[StrictStr, Number], Field(min_length=1, max_length=1)] | None = None
    controls: StrictBool = False
    trials: list[ListedTrial] = []


WANDB_KEYS = frozenset(
    {"program", "method", "metric", "early_terminate", "run_cap", "command", "project", "entity", "controller", "job"}
    | {"image_uri", "queue", "apiVersion", "kind"}
)
"""Keys of a W&B sweep file that mean nothing here: the search, its end and its metric are this program's own."""
KEYS = tuple(field.alias or name for name, field in SpaceFile.model_fields.items())


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


def space_names() -> list[str]:
    """The spaces that ship."""
    return sorted(path.stem for path in SPACES_FOLDER.glob("*.yaml") if path.stem != "limits")


def load_space(name_or_path: str, defaults: Mapping[str, object] | None = None) -> Space:
    """A space by its name or its file; RequestError lists everything that is wrong with it.

    `defaults` are the trainer's own, for a W&B sweep file, whose parameters have none.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml") and len(path.parts) == 1 and not path.is_file():
        names = space_names()
        if name_or_path not in names:
            close = get_close_matches(name_or_path, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}, or the path of a .yaml file"
            raise RequestError(f"--space {name_or_path!r}: there is no such space; {hint}")
        path = SPACES_FOLDER / f"{name_or_path}.yaml"
    return space_from_mapping(read_yaml_mapping(path), str(path), defaults)


def space_from_mapping(given: Mapping[str, object], where: str, defaults: Mapping[str, object] | None = None) -> Space:
    """A space from plain data; one RequestError holds all its problems, each with its key."""
    ignored = tuple(str(key) for key in given if key in WANDB_KEYS)
    given = {key: value for key, value in given.items() if key not in WANDB_KEYS}
    assumed: dict[str, str] = {}
    if ignored:
        given, assumed = _with_defaults(given, defaults or {})
    problems = unknown_keys(given, SpaceFile)
    listed = given.get("parameters", {})
    parameters = _parameters(listed, problems) if isinstance(listed, Mapping) else []
    try:
        file = SpaceFile.model_validate({key: value for key, value in given.items() if key in KEYS})
    except ValidationError as error:
        problems += problems_of(error)
    else:
        ratios = _ratios(file, parameters, problems)
        _check_together(file, parameters, ratios, problems)
    if problems:
        if ignored:
            problems.append(f"not read, because it is W&B's own: {', '.join(ignored)}")
        raise RequestError(f"{where}: " + "; ".join(problems))
    return Space(
        name=str(file.name or Path(where).stem),
        parameters=tuple(parameters),
        description=" ".join(str(file.description or "").split()),
        fixed=file.fixed,
        ratios=ratios,
        controls=file.controls,
        trials=tuple(Configuration(trial.params, label=trial.label) for trial in file.trials),
        source=dict(given),
        ignored=ignored,
        assumed=tuple(assumed.values()),
    )


def override_defaults(given: Mapping[str, Any], defaults: Mapping[str, object]) -> dict[str, Any]:
    """A space file's content whose parameters have the `defaults` that there are for them."""
    entries = {
        name: {**entry, "default": defaults[name]} if name in defaults and "value" not in entry else entry
        for name, entry in given["parameters"].items()
    }
    return {**given, "parameters": entries}


def _with_defaults(given: Mapping[str, Any], own: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, str]]:
    """A W&B sweep file whose parameters have defaults, and in words those that were put in.

    The trainer's own where the range holds it, because that is the config that a user has; else the middle of the
    range or the first of the values.
    """
    filled = dict(given)
    assumed: dict[str, str] = {}
    listed = given.get("parameters")
    if not isinstance(listed, Mapping):
        return filled, assumed
    filled["parameters"] = dict(listed)
    for name, settings in listed.items():
        if not isinstance(settings, Mapping) or "default" in settings or "value" in settings:
            continue
        values = settings.get("values")
        start = values[0] if isinstance(values, list) and values else settings.get("min")
        try:
            parameter = parameter_from_mapping(str(name), {**settings, "default": start})
        except RequestError:
            continue  # said with everything else that is wrong
        if parameter.contains(own.get(name)):
            value, why = own[name], "the trainer's own"
        elif parameter.values:
            value, why = parameter.values[0], "the first value"
        else:
            value, why = parameter.at(0.5), "the middle"
        filled["parameters"][name] = {**settings, "default": value}
        assumed[name] = f"{name} {value} ({why})"
    return filled, assumed


def _check_together(
    file: SpaceFile, parameters: Sequence[Parameter], ratios: Ratios | None, problems: list[str]
) -> None:
    """Add what is wrong with the keys of a file taken together."""
    if file.controls and not file.trials:
        problems.append("controls: true needs trials, the list of configs to run")
    if file.controls and file.parameters:
        problems.append("controls: true runs its trials as they stand; it takes no parameters")
    if file.trials and not file.controls:
        problems.append("trials is only for spaces with controls: true")
    if not file.controls and not any(parameter.searched for parameter in parameters) and not problems:
        problems.append("parameters leaves nothing to search; give one of them min and max, or values")
    names = [parameter.name for parameter in parameters]
    problems += [f"set: {name} is searched already" for name in file.fixed if name in names]
    if ratios is not None:
        taken = [name for name in [*names, *file.fixed] if name in ratios.hyperparameters]
        problems += [f"{name}: is set by the ratios already" for name in taken]
    seen: set[str] = set()
    for number, trial in enumerate(file.trials, 1):
        identity = Configuration(trial.params).identity
        if identity in seen:
            problems.append(f"trials, entry {number}: the same config is listed above")
        seen.add(identity)


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


def _parameters(given: Mapping[object, object], problems: list[str]) -> list[Parameter]:
    found = []
    for name, settings in given.items():
        if not isinstance(name, str) or not name:
            problems.append(f"parameters: the name {name!r} is not a word")
            continue
        try:
            found.append(parameter_from_mapping(name, settings))
        except RequestError as error:
            problems.append(str(error))
    return found


def _ratios(file: SpaceFile, parameters: Sequence[Parameter], problems: list[str]) -> Ratios | None:
    if file.ratios is None and file.scale is None:
        return None
    if file.ratios is None or file.scale is None:
        problems.append(
            "ratios (name: [numerator, denominator]) and scale (the parameter that fixes the common factor: its "
            "preferred value) need each other"
        )
        return None
    searched = {parameter.name: parameter for parameter in parameters}
    for name in file.ratios:
        parameter = searched.get(name)
        if parameter is None:
            problems.append(f"ratios: {name!r} is not among the parameters")
        elif parameter.distribution not in ("log_uniform_values", "uniform", "constant"):
            problems.append(f"ratios: {name!r} must be log_uniform_values or uniform, not {parameter.distribution}")
        elif not isinstance(parameter.min, (int, float)) or parameter.min <= 0:
            problems.append(f"ratios: {name!r} needs min above 0")
    hyperparameter, value = next(iter(file.scale.items()))
    try:
        return Ratios(dict(file.ratios), hyperparameter, float(value))
    except RequestError as error:
        problems.append(str(error))
        return None
