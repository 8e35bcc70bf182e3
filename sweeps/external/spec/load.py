"""Reads a spec from its file, a shipped name or its pinned form, changes it as --set says, and checks it as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sweeps.common.errors import RequestError, meant
from sweeps.common.strict_yaml import read_yaml_mapping
from sweeps.common.validation import problems_of, unknown_keys
from sweeps.external.config_file import SUFFIXES, ConfigFile
from sweeps.external.expressions import Expression
from sweeps.external.spec.keys import SpecFile, unknown_in_sections
from sweeps.external.spec.references import problems_of_use
from sweeps.external.spec.shipped import shipped_specs
from sweeps.external.spec.trainer_spec import TrainerSpec
from sweeps.space.parameter import Parameter, parameter_from_mapping
from sweeps.trainer import PINNED

RESERVED = ("epoch", "time", "event", "trial_id", "seconds", "diverged")
LARGEST_TEMPLATE_BYTES = 4_000_000


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
    problems += unknown_in_sections(given)
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
    standing: set[str] = set() if template is None else set(template.keys())
    parameters = _parameters(spec, template, problems)
    if template is not None and set(template.keys()) > standing:
        template_text = template.text()
    expressions = _expressions(spec, problems)
    problems += problems_of_use(spec, template, parameters)
    if problems:
        raise RequestError(f"{path}: " + "; ".join(dict.fromkeys(problems)))
    return TrainerSpec(path, given, file, template_text, parameters, expressions)


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
        words = entry.words
        given = words.get("default", words.get("value"))
        may_be_new = str(entry.key).startswith("+")
        if name in spec.keys and (given is None or may_be_new):
            key = spec.keys[name]
            if template is None:  # which is a problem of its own
                continue
            problem = template.problem(key)
            if problem and may_be_new and given is not None:
                template.add(key, given)
            elif problem:
                problems.append(f"params: {name}: {problem}")
                continue
            elif "value" not in words:
                words["default"] = template.get(key)
        try:
            found[name] = parameter_from_mapping(name, words)
        except RequestError as error:
            hint = (
                f"; --set params.{name}.min=... and .max=... change the range" if "lies outside" in str(error) else ""
            )
            if hint and not may_be_new:
                hint += ", .default=... where trial 1 starts"
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
