"""The user's own JSON, YAML or TOML config with the best values at their dotted keys, everything else as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from xtts.export.comments import header, without_header
from xtts.export.errors import ExportError
from xtts.export.exporter import Export, Exporter, ExportJob
from xtts.export.tuned import WEIGHTS, TunedConfig
from xtts.export.yaml_edit import YamlText, newline_of, set_values
from xtts.export.yaml_text import yaml_value

_NAME = "the template"


def _render(job: ExportJob) -> Export:
    assert job.template is not None
    assert job.template_path is not None
    kind = job.template_path.suffix.lower()
    if kind not in (".json", ".yaml", ".yml", ".toml"):
        raise ExportError(f"--template {job.template_path}: its name must end in .json, .yaml, .yml or .toml")
    text = job.template if kind == ".json" else without_header(job.template)
    values = _values(job)
    if kind == ".json":
        loaded = _json(text)
        keys = _keys(job, list(_paths(loaded)), values)
        new = _edit_json(text, loaded, {keys[name]: value for name, value in values.items() if name in keys})
    elif kind == ".toml":
        new, keys = _edit_toml(job, text, values)
    else:
        keys = _keys(job, YamlText(text, _NAME).paths(), values)
        new = set_values(text, {keys[name]: yaml_value(values[name]) for name in keys}, _NAME)
    lines = [f"{keys[name]} = {values[name]!r}" for name in keys]
    left = [name for name in values if name not in keys]
    if left:
        lines.append(f"Not in the template, and not written: {', '.join(left)}.")
    if kind == ".json":  # JSON has no comments, and a strict reader refuses a key that it does not know.
        return Export(new, lines)
    mark = "\ufeff" if new.startswith("\ufeff") else ""
    note = [f"Set from the sweep: {', '.join(keys[name] for name in keys)}."]
    return Export(
        mark + header(job.provenance, note, newline_of(text), ascii_only=True) + new.removeprefix(mark), lines
    )


def _values(job: ExportJob) -> dict[str, object]:
    """What to write: every parameter that the trainer names a key for, else the weights and what was searched."""
    params = job.params.params
    if job.keys:
        return {name: params[name] for name in job.keys if name in params}
    names = WEIGHTS if isinstance(job.params, TunedConfig) else ()
    return {name: params[name] for name in params if name in names or name in job.params.searched}


def _keys(job: ExportJob, paths: list[str], values: Mapping[str, object]) -> dict[str, str]:
    """The dotted key of each value: the trainer's, which must exist, or the one leaf of the same name."""
    if job.keys:
        missing = [key for name, key in job.keys.items() if name in values and key not in paths]
        if missing:
            raise ExportError(f"{_NAME} has no {', '.join(missing)}; the trainer's spec names these keys")
        return {name: job.keys[name] for name in values}
    found: dict[str, str] = {}
    for name in values:
        places = [path for path in paths if path.rpartition(".")[2] == name and not _in_list(path)]
        if len(places) > 1:
            raise ExportError(f"{_NAME} has {name} in {len(places)} places ({', '.join(places)}); keep one of them")
        found.update({name: places[0]} if places else {})
    if not found:
        raise ExportError(f"{_NAME} has none of {', '.join(values)}; add the keys that are to be set")
    return found


def _paths(value: object, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _paths(part, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix
        if isinstance(value, list):  # a spec may name an entry: grad_clip.1
            for at, part in enumerate(value):
                yield from _paths(part, f"{prefix}.{at}")


def _json(text: str) -> dict[str, Any]:
    try:
        loaded = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise ExportError(f"{_NAME} is not JSON: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(loaded, dict):
        raise ExportError(f"{_NAME} holds a {type(loaded).__name__} where sections should be")
    return loaded


def _edit_json(text: str, loaded: dict[str, Any], values: Mapping[str, object]) -> str:
    """Written with the template's own indentation; its values, order and kind of letters stay."""
    _set(loaded, values)
    margin = re.search(r"\n([ \t]+)\"", text)
    new = json.dumps(loaded, indent=margin.group(1) if margin else None, ensure_ascii=text.isascii())
    return new + ("\n" if text.endswith("\n") else "")


def _edit_toml(job: ExportJob, text: str, values: Mapping[str, object]) -> tuple[str, dict[str, str]]:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text.removeprefix("\ufeff"))
    except TOMLKitError as error:
        raise ExportError(f"{_NAME} is not TOML: {' '.join(str(error).split())[:200]}") from error
    keys = _keys(job, list(_paths(document.unwrap())), values)
    _set(document, {keys[name]: values[name] for name in keys})
    return tomlkit.dumps(document), keys


def _set(loaded: Any, values: Mapping[str, object]) -> None:
    for path, value in values.items():
        *sections, key = path.split(".")
        place = loaded
        for section in sections:
            place = place[int(section) if isinstance(place, list) else section]
        place[int(key) if isinstance(place, list) else key] = value


def _in_list(path: str) -> bool:
    return any(part.isdigit() for part in path.split("."))


EXPORTER = Exporter("your own JSON, YAML or TOML file (--template) with the tuned values set", _render, "required")
