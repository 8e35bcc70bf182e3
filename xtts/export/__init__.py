"""Tuned configs in the formats of the trainers they go home to: ours, MyXTTS, Coqui's VITS."""

from xtts.export.coqui_vits import render_coqui_vits
from xtts.export.errors import ExportError
from xtts.export.exporters import EXPORTERS, Exporter, export_config, exporter_for
from xtts.export.files import read_template, write_export
from xtts.export.myxtts import compare_template, render_myxtts, render_myxtts_override
from xtts.export.native import render_native
from xtts.export.tuned import WEIGHTS, Provenance, TunedConfig
from xtts.export.verdict import VERDICTS, refusal

__all__ = [
    "EXPORTERS",
    "VERDICTS",
    "WEIGHTS",
    "ExportError",
    "Exporter",
    "Provenance",
    "TunedConfig",
    "compare_template",
    "export_config",
    "exporter_for",
    "read_template",
    "refusal",
    "render_coqui_vits",
    "render_myxtts",
    "render_myxtts_override",
    "render_native",
    "write_export",
]
