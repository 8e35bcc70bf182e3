"""A spec that was checked: the file's content, its template's text, its parameters and the arithmetic of its report."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sweeps.external.expressions import Expression
from sweeps.external.placeholders import placeholders_in
from sweeps.external.spec.keys import SpecFile
from sweeps.space.limits import Limit, Limits
from sweeps.space.parameter import Parameter
from sweeps.trainer import PINNED


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
        """The template's dotted key of each parameter, without the + of one that may be missing there."""
        if self.file.config is None:
            return {}
        in_command = set(placeholders_in(self.file.command))
        return {
            name: (entry.key or name).removeprefix("+")
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


def interpreter_of(python: str | None, folder: Path) -> str:
    """The interpreter's path, or its name as it stands where it is not found."""
    if python is None:
        return sys.executable
    if "/" in python or python.startswith("~"):
        return str(folder / Path(python).expanduser())  # not resolved: a link is what makes a virtual environment
    return shutil.which(python) or python
