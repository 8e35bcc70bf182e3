"""Reads a search space from a YAML file in W&B's parameter words, all errors at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError

from sweeps.common.errors import RequestError
from sweeps.common.strict_yaml import read_yaml_mapping
from sweeps.common.validation import problems_of, unknown_keys
from sweeps.space.configuration import Configuration
from sweeps.space.parameter import Number, Parameter, Value, parameter_from_mapping
from sweeps.space.ratios import Ratios
from sweeps.space.space import Space

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
