"""The targets of `export`: what each is called, what it needs, and how a config gets there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from xtts.export.coqui_vits import render_coqui_vits
from xtts.export.errors import ExportError
from xtts.export.files import read_template, write_export
from xtts.export.myxtts import compare_template, render_myxtts, render_myxtts_override
from xtts.export.native import render_native
from xtts.export.tuned import Provenance, TunedConfig
from xtts.export.verdict import refusal

_KIB = 1024


@dataclass(frozen=True)
class Exporter:
    """A target: `render(tuned, provenance, template text)`, whether it takes a template, its largest size in bytes,
    and the line that `--help` shows."""

    name: str
    summary: str
    template: Literal["none", "optional", "required"]
    template_limit: int
    render: Callable[[TunedConfig, Provenance, str | None], str]


def _coqui_vits(tuned: TunedConfig, provenance: Provenance, template: str | None) -> str:
    if template is None:
        raise ExportError("coqui-vits needs a complete base file: give --template with a VITS config.json")
    return render_coqui_vits(tuned, provenance, template)


EXPORTERS: Mapping[str, Exporter] = MappingProxyType(
    {
        exporter.name: exporter
        for exporter in (
            Exporter(
                "native",
                "YAML for train --config",
                "none",
                0,
                lambda tuned, provenance, _: render_native(tuned, provenance),
            ),
            Exporter(
                "myxtts",
                "YAML for myxtts train --config, or your own (--template); -o NAME.py: lines for train_main.py",
                "optional",
                256 * _KIB,
                render_myxtts,
            ),
            Exporter(
                "coqui-vits",
                "JSON for Coqui's VITS, made from your config.json (--template)",
                "required",
                16 * _KIB * _KIB,
                _coqui_vits,
            ),
        )
    }
)

_MYXTTS_OVERRIDE = Exporter(
    "myxtts",
    "Python lines for MyXTTS's train_main.py",
    "none",
    0,
    lambda tuned, provenance, _: render_myxtts_override(tuned, provenance),
)


def exporter_for(target: str, output: Path) -> Exporter:
    """The exporter of a target; for myxtts, the Python override where the output ends in .py.

    Raises ExportError for an unknown target.
    """
    if target not in EXPORTERS:
        near = get_close_matches(target, EXPORTERS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(EXPORTERS)}"
        raise ExportError(f"--to {target}: no such target; {hint}")
    if target == "myxtts" and output.suffix == ".py":
        return _MYXTTS_OVERRIDE
    return EXPORTERS[target]


def export_config(
    target: str,
    tuned: TunedConfig,
    provenance: Provenance,
    output: Path,
    *,
    template: Path | None = None,
    force: bool = False,
    unproven: bool = False,
) -> list[str]:
    """Write the config for `target` to `output`; returns what to tell the person beside it.

    Raises ExportError where the verdict speaks against it, the template does not fit, or the file cannot be written.
    """
    against = refusal(provenance.verdict, unproven, is_default=provenance.is_default)
    if against is not None:
        raise ExportError(against)
    exporter = exporter_for(target, output)
    if template is not None and exporter.template == "none":
        raise ExportError(f"--template {template}: {exporter.summary} is written whole; leave the template out")
    if template is None and exporter.template == "required":
        raise ExportError(f"--to {target} needs a complete base file: give it with --template")
    text = read_template(template, exporter.template_limit) if template is not None else None
    write_export(exporter.render(tuned, provenance, text), output, force)
    return compare_template(tuned, text).lines() if target == "myxtts" and text is not None else []
