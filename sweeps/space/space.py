"""A search space: what may be tried, read from a YAML file in W&B's parameter words, all errors at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import cast

from sweeps.common.errors import RequestError
from sweeps.common.strict_yaml import read_yaml_mapping
from sweeps.space.configuration import Configuration
from sweeps.space.limits import NO_LIMITS, Limits
from sweeps.space.parameter import Parameter, Value, parameter_from_mapping
from sweeps.space.ratios import Ratios

SPACES_FOLDER = Path(str(files("search_spaces")))
KEYS = ("name", "description", "parameters", "set", "ratios", "scale", "controls", "trials")


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

    def configuration(self, values: Mapping[str, Value], limits: Limits = NO_LIMITS) -> Configuration:
        """The config for values of the space's parameters: ratios become knobs that keep the limits."""
        if self.ratios is None:
            return Configuration(dict(values))
        ratios = {name: cast(float, values[name]) for name in self.ratios.pairs}
        defaults = {p.name: cast(float, p.default) for p in self.parameters if self._is_ratio(p)}
        inside = self.ratios.inside(ratios, defaults, limits)
        rest = {name: value for name, value in values.items() if name not in ratios}
        hyperparameters: dict[str, object] = dict(self.ratios.to_knobs(inside, limits))
        rounded = {p.name: p.rounded(inside[p.name]) for p in self.parameters if self._is_ratio(p)}
        return Configuration(hyperparameters | rest, coordinates=rounded)

    def _is_ratio(self, parameter: Parameter) -> bool:
        return self.ratios is not None and parameter.name in self.ratios.pairs


def space_names(folder: Path = SPACES_FOLDER) -> list[str]:
    """The spaces that ship."""
    return sorted(path.stem for path in folder.glob("*.yaml") if path.stem != "limits")


def load_space(name_or_path: str, folder: Path = SPACES_FOLDER) -> Space:
    """A space by its name or its file; RequestError lists everything that is wrong with it."""
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml") and len(path.parts) == 1 and not path.is_file():
        names = space_names(folder)
        if name_or_path not in names:
            close = get_close_matches(name_or_path, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}, or the path of a .yaml file"
            raise RequestError(f"--space {name_or_path!r}: there is no such space; {hint}")
        path = folder / f"{name_or_path}.yaml"
    return space_from_mapping(read_yaml_mapping(path), str(path))


def space_from_mapping(given: Mapping[str, object], where: str) -> Space:
    """A space from plain data; one RequestError holds all its problems, each with its key."""
    problems = []
    for key in given:
        if key not in KEYS:
            close = get_close_matches(str(key), KEYS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(KEYS)}"
            problems.append(f"unknown key {key!r}; {hint}")
    parameters = _parameters(given.get("parameters", {}), problems)
    fixed = _plain_values(given.get("set", {}), "set", problems)
    controls = given.get("controls", False)
    if not isinstance(controls, bool):
        problems.append(f"controls is {controls!r}; expected true or false")
    trials = _listed(given.get("trials", []), problems)
    ratios = _ratios(given.get("ratios"), given.get("scale"), parameters, problems)
    if controls and not trials:
        problems.append("controls: true needs trials, the list of configs to run")
    if controls and parameters:
        problems.append("controls: true runs its trials as they stand; it takes no parameters")
    if trials and not controls:
        problems.append("trials is only for spaces with controls: true")
    if not controls and not any(parameter.searched for parameter in parameters) and not problems:
        problems.append("parameters leaves nothing to search; give one of them min and max, or values")
    names = [parameter.name for parameter in parameters]
    problems += [f"set: {name} is searched already" for name in fixed if name in names]
    if ratios is not None:
        problems += [
            f"{name}: is set by the ratios already" for name in [*names, *fixed] if name in ratios.hyperparameters
        ]
    if problems:
        raise RequestError(f"{where}: " + "; ".join(problems))
    return Space(
        name=str(given.get("name") or Path(where).stem),
        parameters=tuple(parameters),
        description=" ".join(str(given.get("description", "")).split()),
        fixed=fixed,
        ratios=ratios,
        controls=controls is True,
        trials=tuple(trials),
        source=dict(given),
    )


def check_limits(space: Space, fixed: Mapping[str, object], limits: Limits, *, allow_unsafe: bool) -> None:
    """RequestError where the space or a fixed value (--set) can leave the limits, unless that is asked for."""
    if space.controls or allow_unsafe:
        return
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
    if problems:
        raise RequestError("; ".join(problems) + "; --allow-unsafe runs such trials as controls")


def _parameters(given: object, problems: list[str]) -> list[Parameter]:
    if not isinstance(given, Mapping):
        problems.append(f"parameters is {_kind(given)}; expected name: settings")
        return []
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


def _plain_values(given: object, key: str, problems: list[str]) -> dict[str, object]:
    if not isinstance(given, Mapping) or any(not isinstance(name, str) for name in given):
        problems.append(f"{key} is {_kind(given)}; expected name: value")
        return {}
    problems += [f"{key}: {name} is {_kind(value)}" for name, value in given.items() if isinstance(value, (list, dict))]
    return dict(given)


def _listed(given: object, problems: list[str]) -> list[Configuration]:
    if not isinstance(given, list):
        problems.append(f"trials is {_kind(given)}; expected a list of configs")
        return []
    found: list[Configuration] = []
    for number, entry in enumerate(given, 1):
        if not isinstance(entry, Mapping) or set(entry) != {"label", "params"}:
            problems.append(f"trials, entry {number}: expected label and params")
            continue
        params = _plain_values(entry["params"], f"trials, entry {number}", problems)
        config = Configuration(params, label=str(entry["label"]))
        if any(config.identity == other.identity for other in found):
            problems.append(f"trials, entry {number}: the same config stands above")
        found.append(config)
    return found


def _ratios(given: object, scale: object, parameters: list[Parameter], problems: list[str]) -> Ratios | None:
    if given is None and scale is None:
        return None
    searched = {parameter.name: parameter for parameter in parameters}
    if not isinstance(given, Mapping) or not all(map(_is_pair, given.values())):
        problems.append("ratios: expected name: [numerator, denominator]")
        return None
    if not isinstance(scale, Mapping) or len(scale) != 1 or not isinstance(next(iter(scale.values())), (int, float)):
        problems.append("scale: expected the knob that fixes the common factor, and its preferred value")
        return None
    for name in given:
        parameter = searched.get(name)
        if parameter is None:
            problems.append(f"ratios: {name!r} is not among the parameters")
        elif parameter.distribution not in ("log_uniform_values", "uniform", "constant"):
            problems.append(f"ratios: {name!r} must be log_uniform_values or uniform, not {parameter.distribution}")
        elif not isinstance(parameter.min, (int, float)) or parameter.min <= 0:
            problems.append(f"ratios: {name!r} needs min above 0")
    hyperparameter, value = next(iter(scale.items()))
    try:
        return Ratios(
            {str(name): (pair[0], pair[1]) for name, pair in given.items()}, str(hyperparameter), float(value)
        )
    except RequestError as error:
        problems.append(str(error))
        return None


def _is_pair(given: object) -> bool:
    return (
        isinstance(given, list) and len(given) == 2 and all(isinstance(hyperparameter, str) for hyperparameter in given)
    )


def _kind(given: object) -> str:
    return "empty" if given is None else f"a {type(given).__name__}"
