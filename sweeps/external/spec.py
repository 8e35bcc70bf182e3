"""The spec of an external trainer: a YAML file that says how to run a program and how to read its logs.

All problems of a spec are reported at once. Paths are relative to the spec's own folder.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    ValidationError,
    model_validator,
)

from sweeps.common.budget import parse_duration
from sweeps.common.errors import RequestError
from sweeps.common.strict_yaml import read_yaml_mapping
from sweeps.common.validation import meant, problems_of, unknown_keys
from sweeps.external.config_file import SUFFIXES, ConfigFile
from sweeps.external.expressions import Expression
from sweeps.external.placeholders import BUILT_IN, LISTS, NEWEST, placeholders_in
from sweeps.space.limits import Limit, Limits
from sweeps.space.parameter import Number, Parameter, parameter_from_mapping
from sweeps.trainer import PINNED

SHIPPED_FOLDER = Path(str(files("trainers")))
RESERVED = ("epoch", "time", "event", "trial_id", "seconds", "diverged")
SIGNALS = ("SIGTERM", "SIGINT", "SIGKILL", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
LARGEST_TEMPLATE_BYTES = 4_000_000
SIZES = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


def _seconds(value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except RequestError:
            raise ValueError(f"{value!r} is no time; write 30m, 45s or 2h") from None
    raise ValueError(f"{value!r} is no time; write 30m, 45s or 2h")


def _bytes(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(kB|MB|GB|TB)\s*", str(value))
    if found is None:
        raise ValueError(f"{value!r} is no size; write 500MB or 20GB")
    return int(float(found.group(1)) * SIZES[found.group(2)])


def _words(value: object) -> object:
    """A command's items: numbers are written without quotes in YAML."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"command {value!r}: write a list of the program and its arguments; there is no shell")
    wrong = [item for item in value if isinstance(item, (list, dict)) or item is None]
    if wrong:
        raise ValueError(f'{wrong[0]!r} is no word; put quotes around a placeholder such as "{{config}}"')
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in value]


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(gt=0)]
Words = Annotated[list[str], BeforeValidator(_words)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ConfigEntry(_Section):
    """The user's own config, and the name under which each trial gets its copy."""

    template: StrictStr
    write: StrictStr | None = None


class ParamEntry(_Section):
    """A parameter that can be searched; the words of a search space, and where it goes in the trainer."""

    key: StrictStr | None = None
    type: Literal["int", "float"] | None = None
    distribution: Any = None
    min: Any = None
    max: Any = None
    q: Any = None
    values: Any = None
    value: Any = None
    default: Any = None
    description: StrictStr | None = None
    reason: StrictStr | None = None
    """Why the limits are where they are"""
    limits: tuple[Number, Number] | None = None
    """Where they are wider than what is searched by default"""
    dangerous_above: Number | None = None


class MetricsEntry(_Section):
    """A source of metrics; exactly one kind."""

    tensorboard: StrictStr | None = None
    csv: StrictStr | None = None
    jsonl: StrictStr | None = None
    wandb: StrictStr | None = None
    stdout: StrictStr | None = None
    step: StrictStr | None = None
    prefix: StrictStr = ""

    @model_validator(mode="after")
    def _one_kind(self) -> MetricsEntry:
        kinds = [kind for kind in METRIC_KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"metrics: each entry has one of {', '.join(METRIC_KINDS)}; found {kinds or 'none'}")
        if self.stdout is not None:
            try:
                pattern = re.compile(self.stdout)
            except re.error as error:
                raise ValueError(f"metrics: stdout {self.stdout!r} is no regular expression: {error}") from None
            if not pattern.groupindex:
                raise ValueError(f"metrics: stdout {self.stdout!r} has no named group such as (?P<loss>\\S+)")
        if self.step is not None and self.kind not in ("csv", "jsonl"):
            raise ValueError("metrics: step names a column of csv or jsonl")
        return self

    @property
    def kind(self) -> str:
        """tensorboard, csv, jsonl, wandb or stdout."""
        return next(kind for kind in METRIC_KINDS if getattr(self, kind) is not None)

    @property
    def where(self) -> str:
        """The glob, or the expression of stdout."""
        return str(getattr(self, self.kind))


METRIC_KINDS = ("tensorboard", "csv", "jsonl", "wandb", "stdout")


class EpochEntry(_Section):
    """The tag whose n-th value closes epoch n."""

    tag: StrictStr


class ResumeEntry(_Section):
    """The trainer's own way to resume: what is added to its command."""

    args: Words
    exact: StrictBool = False


class StopEntry(_Section):
    """The signal that stops the program, and how long it may take before SIGKILL."""

    signal: Literal["SIGTERM", "SIGINT", "SIGKILL", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] = "SIGTERM"
    wait: Annotated[float, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False)] = 20.0


class TimeoutsEntry(_Section):
    """How long the program may take for its first epoch, start included, and for each further one."""

    first_epoch: Seconds = 1800.0
    epoch: Seconds = 1200.0


class SpecFile(_Section):
    """The keys of a spec."""

    name: StrictStr
    description: str = ""
    python: StrictStr | None = None
    command: Words
    cwd: StrictStr | None = None
    seed_first: StrictBool = False
    """Seed random, numpy, torch and tensorflow before the program starts, for programs that do not seed themselves"""
    config: ConfigEntry | None = None
    params: dict[StrictStr, ParamEntry] = Field(min_length=1)
    set: dict[StrictStr, Any] = {}
    env: dict[StrictStr, Any] = {}
    metrics: list[MetricsEntry] = Field(min_length=1)
    epoch: EpochEntry
    report: dict[StrictStr, StrictStr]
    mode: Literal["min", "max"] = "min"
    resume: Literal["replay"] | ResumeEntry = "replay"
    stop: StopEntry = StopEntry()
    timeouts: TimeoutsEntry = TimeoutsEntry()
    keep: list[StrictStr] = []
    """Files of more than a megabyte that stay when a trial ends, as globs below its folder"""
    disk: Bytes = 50_000_000_000
    """A trial whose folder grows larger than this fails"""
    freeze: dict[StrictStr, Any] = {}
    """Settings with which nothing is learned: the preflight then sees the objective move with weights alone"""
    preflight: StrictBool = True
    remarks: list[str] = []
    """What a user of this trainer should know"""


SECTIONS: Mapping[str, type[BaseModel]] = {
    "config": ConfigEntry,
    "epoch": EpochEntry,
    "stop": StopEntry,
    "timeouts": TimeoutsEntry,
}


@dataclass(frozen=True)
class TrainerSpec:
    """A spec that was checked, with its template's text and its parameters."""

    path: Path
    given: Mapping[str, Any]
    file: SpecFile
    template_text: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    expressions: Mapping[str, Expression] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The trainer's name."""
        return self.file.name

    @property
    def folder(self) -> Path:
        """The spec's folder, to which its paths are relative."""
        return self.path.parent

    @cached_property
    def limits(self) -> Limits:
        """The safe range of each parameter: what is searched by default, or wider where the spec says so."""
        found = {}
        for name, parameter in self.parameters.items():
            entry = self.file.params[name]
            ends = entry.limits or (parameter.min, parameter.max)
            if ends[0] is None or ends[1] is None:
                continue
            reason = entry.reason or f"the range of {self.path.name}"
            found[name] = Limit(
                name=name, min=ends[0], max=ends[1], reason=reason, dangerous_above=entry.dangerous_above
            )
        return Limits(found)

    @property
    def keys(self) -> dict[str, str]:
        """The template's dotted key of each parameter."""
        if self.file.config is None:
            return {}
        in_command = set(placeholders_in(self.file.command))
        return {
            name: entry.key or name
            for name, entry in self.file.params.items()
            if entry.key is not None or name not in in_command
        }

    @property
    def suffix(self) -> str:
        """The format of the config, by the template's name."""
        return Path(self.file.config.template).suffix.lower() if self.file.config else ""

    @property
    def template_path(self) -> Path | None:
        """The user's template."""
        return None if self.file.config is None else self.absolute(self.file.config.template)

    @property
    def interpreter(self) -> str:
        """The trainer's Python."""
        return interpreter_of(self.file.python, self.folder)

    @property
    def pinned(self) -> str:
        """The whole spec with its template as one line: the same trainer, whatever becomes of the files."""
        content = {"path": str(self.path), "given": self.given, "template": self.template_text}
        return PINNED + json.dumps(content)

    def absolute(self, path: str) -> Path:
        """A path of the spec."""
        return (self.folder / Path(path).expanduser()).resolve()

    def uses(self, placeholder: str) -> bool:
        """Whether the spec has that placeholder anywhere."""
        file = self.file
        texts = [file.command, file.set, file.env, file.cwd, [entry.where for entry in file.metrics]]
        if not isinstance(file.resume, str):
            texts.append(file.resume.args)
        return placeholder in placeholders_in(texts)


def shipped_specs() -> dict[str, Path]:
    """The specs that ship, by name."""
    return {path.stem: path for path in sorted(SHIPPED_FOLDER.glob("*.yaml"))}


def described_specs() -> list[dict[str, Any]]:
    """The shipped specs as plain data. Their templates are the users' own, so they are read without them."""
    found = []
    for name, path in shipped_specs().items():
        file = SpecFile.model_validate(read_yaml_mapping(path))
        params = [
            {"name": param, "key": entry.key, "range": _range(entry), "reason": entry.reason}
            for param, entry in file.params.items()
        ]
        about = {"spec": name, "path": str(path), "name": file.name, "description": file.description}
        needs = {"template": file.config is not None, "data": "data" in set(placeholders_in([file.command, file.set]))}
        found.append({**about, "mode": file.mode, "needs": needs, "params": params, "remarks": file.remarks})
    return found


def _range(entry: ParamEntry) -> str:
    if entry.values is not None:
        return ", ".join(map(str, entry.values))
    if entry.value is not None:
        return f"fixed at {entry.value}"
    default = f", default {entry.default}" if entry.default is not None else ""
    return f"{entry.min} to {entry.max}{default}"


def load_spec(trainer: str, overrides: Mapping[str, object] | None = None) -> TrainerSpec:
    """The spec in a file, of a shipped name or pinned; `overrides` are dotted keys of the spec, or `template`.

    RequestError lists all that is wrong with it.
    """
    path, content, template_text = _read(trainer)
    given = _overridden(content, overrides or {}, path)
    same_template = given.get("config") == content.get("config")
    return _checked(path, given, template_text if same_template else None)


def params_of(trainer: str) -> list[str]:
    """The names of a spec's parameters, whatever else may be wrong with it."""
    entries = _read(trainer)[1].get("params")
    return [str(name) for name in entries] if isinstance(entries, Mapping) else []


def _read(trainer: str) -> tuple[Path, dict[str, Any], str | None]:
    """A spec's path, its content, and the template's text where the spec is pinned."""
    if trainer.startswith(PINNED):
        pinned = json.loads(trainer.removeprefix(PINNED))
        return Path(pinned["path"]), pinned["given"], pinned["template"]
    path = Path(trainer).expanduser()
    if not path.is_file():
        shipped = shipped_specs()
        name = path.stem if path.parent.name in ("", "trainers") else ""
        if name not in shipped:
            raise RequestError(
                f"trainer {trainer!r}: expected MODULE:CLASS, the .yaml file of a spec, or a shipped spec; "
                f"{meant(trainer, shipped)}"
            )
        path = shipped[name]
    path = path.resolve()
    return path, read_yaml_mapping(path), None


def interpreter_of(python: str | None, folder: Path) -> str:
    """The interpreter's path, or its name as it stands where it is not found."""
    if python is None:
        return sys.executable
    if "/" in python or python.startswith("~"):
        return str(folder / Path(python).expanduser())  # not resolved: a link is what makes a virtual environment
    return shutil.which(python) or python


def _overridden(given: Mapping[str, Any], overrides: Mapping[str, object], path: Path) -> dict[str, Any]:
    """The spec with dotted keys set; paths on the command line are relative to the current folder."""
    result: dict[str, Any] = json.loads(json.dumps(dict(given), default=str))
    for key, value in overrides.items():
        parts = ["config", "template"] if key == "template" else key.split(".", 1)
        if parts[0] not in SpecFile.model_fields:
            known = [*SpecFile.model_fields, "template", *result.get("params", {})]
            raise RequestError(f"--set {key}: {path.name} has no such key or parameter; {meant(parts[0], known)}")
        if parts == ["config", "template"] or key in ("python", "cwd"):
            there = Path(str(value)).expanduser()
            value = str(there.absolute()) if there.exists() else value
        if len(parts) == 1:
            result[key] = value
            continue
        section = result.setdefault(parts[0], {})
        if parts[0] == "params" and "." in parts[1]:
            name, _, last = parts[1].rpartition(".")
            section.setdefault(name, {})[last] = value
        elif isinstance(section, dict):
            section[parts[1]] = value
        else:
            raise RequestError(f"--set {key}: {parts[0]} of {path.name} is no section")
    return result


def _checked(path: Path, given: dict[str, Any], template_text: str | None) -> TrainerSpec:
    problems = unknown_keys(given, SpecFile)
    problems += _unknown_in_sections(given)
    try:
        file = SpecFile.model_validate(_without_unknown(given))
    except ValidationError as error:
        problems += [problem for problem in problems_of(error) if "unknown key" not in problem]
        raise RequestError(f"{path}: " + "; ".join(dict.fromkeys(problems))) from None
    spec = TrainerSpec(path, given, file, template_text)
    template = None
    if file.config is not None and template_text is None:
        template_text = _read_template(spec, problems)
    if file.config is not None and template_text is not None:
        try:
            template = ConfigFile(template_text, spec.suffix, Path(file.config.template).name)
        except RequestError as error:
            problems.append(str(error))
    parameters = _parameters(spec, template, problems)
    expressions = _expressions(spec, problems)
    problems += _problems_of_use(spec, template, parameters)
    if problems:
        raise RequestError(f"{path}: " + "; ".join(dict.fromkeys(problems)))
    return TrainerSpec(path, given, file, template_text, parameters, expressions)


def _unknown_in_sections(given: Mapping[str, Any]) -> list[str]:
    problems = []
    for key, model in SECTIONS.items():
        if isinstance(given.get(key), Mapping):
            problems += [f"{key}: {problem}" for problem in unknown_keys(given[key], model)]
    if isinstance(given.get("resume"), Mapping):
        problems += [f"resume: {problem}" for problem in unknown_keys(given["resume"], ResumeEntry)]
    entries = given.get("params")
    for name, entry in entries.items() if isinstance(entries, Mapping) else ():
        if isinstance(entry, Mapping):
            problems += [f"params: {name}: {problem}" for problem in unknown_keys(entry, ParamEntry)]
    listed = given.get("metrics")
    for number, entry in enumerate(listed if isinstance(listed, list) else [], 1):
        if isinstance(entry, Mapping):
            problems += [f"metrics, entry {number}: {problem}" for problem in unknown_keys(entry, MetricsEntry)]
    return problems


def _without_unknown(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key in SpecFile.model_fields}


def _read_template(spec: TrainerSpec, problems: list[str]) -> str | None:
    path = spec.template_path
    assert path is not None
    if spec.suffix not in SUFFIXES:
        problems.append(f"config: template {path.name}: its name ends in {', '.join(SUFFIXES)}")
        return None
    try:
        if path.stat().st_size > LARGEST_TEMPLATE_BYTES:
            problems.append(f"config: template {path}: is larger than {LARGEST_TEMPLATE_BYTES // 10**6} MB")
            return None
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        problems.append(f"config: template {path}: is not UTF-8 text")
    except OSError as error:
        problems.append(
            f"config: template {path}: cannot be read: {error.strerror or error}; --set template=FILE names your own"
        )
    return None


def _parameters(spec: TrainerSpec, template: ConfigFile | None, problems: list[str]) -> dict[str, Parameter]:
    found = {}
    for name, entry in spec.file.params.items():
        words = entry.model_dump(include={"distribution", "min", "max", "q", "values", "value", "default"})
        words = {key: value for key, value in words.items() if value is not None}
        if entry.type == "int" and entry.values is None and entry.value is None:
            logarithmic = str(entry.distribution or "").endswith("log_uniform_values")
            words |= (
                {"distribution": "q_log_uniform_values", "q": 1} if logarithmic else {"distribution": "int_uniform"}
            )
        elif entry.type == "float" and "distribution" not in words and "values" not in words and "value" not in words:
            words["distribution"] = "uniform"
        if "default" not in words and "value" not in words and name in spec.keys:
            key = spec.keys[name]
            if template is None:  # which is a problem of its own
                continue
            problem = template.problem(key)
            if problem:
                problems.append(f"params: {name}: {problem}")
                continue
            words["default"] = template.get(key)
        try:
            found[name] = parameter_from_mapping(name, words)
        except RequestError as error:
            hint = (
                f"; --set params.{name}.min=... and .max=... change the range" if "lies outside" in str(error) else ""
            )
            problems.append(f"params: {error}{hint}")
    if found and not any(parameter.searched for parameter in found.values()) and not problems:
        problems.append("params leaves nothing to search; give one of them min and max, or values")
    return found


def _expressions(spec: TrainerSpec, problems: list[str]) -> dict[str, Expression]:
    found = {}
    if "objective" not in spec.file.report:
        problems.append("report needs objective, the value by which configs are ranked")
    for name, text in spec.file.report.items():
        if name in RESERVED:
            problems.append(f"report: {name} is written by the sweep itself; choose another name")
        try:
            found[name] = Expression(text)
        except RequestError as error:
            problems.append(f"report: {name}: {error}")
    return found


def _problems_of_use(spec: TrainerSpec, template: ConfigFile | None, parameters: Mapping[str, Parameter]) -> list[str]:
    """What is wrong with how the parts refer to each other."""
    file, problems = spec.file, []
    known = [*BUILT_IN, *file.params]
    for where, value in (
        ("cwd", file.cwd),
        ("set", file.set),
        ("env", file.env),
        ("metrics", [entry.where for entry in file.metrics if entry.kind != "stdout"]),
        ("resume", [] if isinstance(file.resume, str) else file.resume.args),
    ):
        for name in placeholders_in(value):
            if name not in known and not name.startswith(NEWEST):
                problems.append(f"{where}: unknown placeholder {{{name}}}; {meant(name, known)}")
    for item in file.command:
        for name in placeholders_in(item):
            if name in LISTS and item != f"{{{name}}}":
                problems.append(f"command: {{{name}}} stands for several arguments, and must be an item of its own")
            elif name not in known and name not in LISTS:
                problems.append(f"command: unknown placeholder {{{name}}}; {meant(name, [*known, *LISTS])}")
    in_command = set(placeholders_in(file.command)) | set(placeholders_in(file.env)) | set(placeholders_in(file.set))
    if file.config is None:
        if "config" in in_command:
            problems.append("{config} needs config, with the template that each trial gets a copy of")
        if file.set and not {"args", "overrides"} & in_command:
            problems.append("set needs config, or {args} or {overrides} in the command")
        if not {"args", "overrides"} & in_command:
            lost = [name for name in file.params if name not in in_command]
            problems += [
                f"params: {name} reaches the program nowhere; put {{{name}}} into the command, or give config"
                for name in lost
            ]
    elif template is not None:
        problems += _problems_of_keys(spec, template, parameters)
        write = file.config.write
        if write is not None and Path(write).suffix.lower() != spec.suffix:
            problems.append(f"config: write {write!r} is another format than the template, {spec.suffix}")
        if write is not None and (Path(write).is_absolute() or ".." in Path(write).parts):
            problems.append(f"config: write {write!r} must lie in the trial's folder")
    if file.seed_first and file.command[0] != "{python}":
        problems.append("seed_first needs a command that begins with {python}")
    for name, parameter in parameters.items():
        entry = file.params[name]
        if entry.limits is None or parameter.min is None or parameter.max is None:
            continue
        if not entry.limits[0] <= parameter.min < parameter.max <= entry.limits[1]:
            problems.append(f"params: {name}: limits {list(entry.limits)} do not hold min and max")
    return problems


def _problems_of_keys(spec: TrainerSpec, template: ConfigFile, parameters: Mapping[str, Parameter]) -> list[str]:
    problems = []
    for name, key in spec.keys.items():
        problem = template.problem(key)
        if problem:
            problems.append(f"params: {name}: {problem}")
            continue
        if name in parameters:
            try:
                template.set(key, parameters[name].default)
            except RequestError as error:
                problems.append(f"params: {name}: {error}")
    taken = {key: name for name, key in spec.keys.items()}
    for key, value in (*spec.file.set.items(), *spec.file.freeze.items()):
        if key in taken and key in spec.file.set:
            problems.append(f"set: {key} is the parameter {taken[key]} already")
        problem = None if key.startswith("+") else template.problem(key)
        if problem:
            problems.append(f"set: {problem}; write +{key} to add it")
        elif not key.startswith("+") and not list(placeholders_in(value)):
            try:
                ConfigFile(template.text(), spec.suffix, "set").set(key, value)
            except RequestError as error:
                problems.append(str(error))
    return problems
