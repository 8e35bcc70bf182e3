"""What an exporter is, and the list of them: every module of xtts/export/targets is one.

A module there defines `EXPORTER`; its file name, with dashes for underscores, is the name that `--to` takes.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from xtts.export import targets
from xtts.export.errors import ExportError
from xtts.export.files import read_template, write_export
from xtts.export.tuned import Provenance, TunedConfig, TunedParams
from xtts.export.verdict import refusal

KIB = 1024


@dataclass(frozen=True)
class ExportJob:
    """What an exporter gets: the config, its origin, the template's text and path (if there is one), the file to write,
    and the template's dotted key of each parameter (`keys`; empty where the trainer does not name them)."""

    params: TunedParams
    provenance: Provenance
    output: Path
    template: str | None = None
    template_path: Path | None = None
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def tuned(self) -> TunedConfig:
        """The config of the built-in trainer. Raises ExportError for an external trainer's."""
        if not isinstance(self.params, TunedConfig):
            raise ExportError("this run trained an external trainer; use --to template")
        return self.params


@dataclass(frozen=True)
class Export:
    """The file's text, and lines for the user."""

    text: str
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Exporter:
    """A target: the line that `--help` shows, whether it takes a template, and how a config gets there."""

    summary: str
    render: Callable[[ExportJob], Export]
    template: Literal["none", "optional", "required"] = "none"
    template_limit: int = 256 * KIB
    """Largest template, in bytes"""


@cache
def exporters() -> Mapping[str, Exporter]:
    """All exporters by name."""
    modules = sorted(module.name for module in pkgutil.iter_modules(targets.__path__))
    found = {name.replace("_", "-"): import_module(f"{targets.__name__}.{name}").EXPORTER for name in modules}
    return MappingProxyType(found)


def exporter_named(target: str) -> Exporter:
    """The exporter of a target. Raises ExportError for an unknown one."""
    if target not in exporters():
        near = get_close_matches(target, exporters(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(exporters())}"
        raise ExportError(f"--to {target}: no such target; {hint}")
    return exporters()[target]


def export_config(
    target: str,
    params: TunedParams,
    provenance: Provenance,
    output: Path,
    *,
    template: Path | None = None,
    keys: Mapping[str, str] | None = None,
    force: bool = False,
    unproven: bool = False,
) -> list[str]:
    """Write the config for `target` to `output`; returns lines for the user.

    Raises ExportError where the verdict speaks against it, the template does not fit, or the file cannot be written.
    """
    against = refusal(provenance.verdict, unproven, is_default=provenance.is_default)
    if against is not None:
        raise ExportError(against)
    exporter = exporter_named(target)
    if template is not None and exporter.template == "none":
        raise ExportError(f"--template {template}: {target} is written whole; leave the template out")
    if template is None and exporter.template == "required":
        raise ExportError(f"--to {target} needs a complete base file: give it with --template")
    text = read_template(template, exporter.template_limit) if template is not None else None
    export = exporter.render(ExportJob(params, provenance, output, text, template, keys or {}))
    write_export(export.text, output, force)
    return list(export.lines)
