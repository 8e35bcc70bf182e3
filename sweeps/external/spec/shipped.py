"""The specs that ship in trainers/."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from sweeps.common.strict_yaml import read_yaml_mapping
from sweeps.external.placeholders import placeholders_in
from sweeps.external.spec.keys import ParamEntry, SpecFile

SHIPPED_FOLDER = Path(str(files("trainers")))


def shipped_specs() -> dict[str, Path]:
    """The specs that ship, by name."""
    return {path.stem: path for path in sorted(SHIPPED_FOLDER.glob("*.yaml"))}


def described_specs() -> list[dict[str, Any]]:
    """The shipped specs as plain data. Their templates are the users' own, so they are read without them."""
    found = []
    for name, path in shipped_specs().items():
        file = SpecFile.model_validate(read_yaml_mapping(path))
        params = [
            {"name": param, "key": entry.key, "range": _range(entry, file.config is not None), "reason": entry.reason}
            for param, entry in file.params.items()
        ]
        about = {"spec": name, "path": str(path), "name": file.name, "description": file.description}
        needs = {"template": file.config is not None, "data": "data" in set(placeholders_in([file.command, file.set]))}
        found.append({**about, "mode": file.mode, "needs": needs, "params": params, "remarks": file.remarks})
    return found


def _range(entry: ParamEntry, has_template: bool) -> str:
    if entry.value is not None:
        return f"fixed at {entry.value}"
    default = ", default as in your template" if has_template else ""
    if entry.default is not None:
        default = f", default {entry.default}"
    values = f"{entry.min} to {entry.max}" if entry.values is None else ", ".join(map(str, entry.values))
    return f"{values}{default}"
