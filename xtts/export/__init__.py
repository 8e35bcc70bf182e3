"""Tuned configs in the formats of the trainers they go home to: ours, MyXTTS, Coqui's VITS."""

from xtts.exports.coqui_vits import render_coqui_vits
from xtts.exports.errors import ExportError
from xtts.exports.exporters import EXPORTERS, Exporter, export_config, exporter_for
from xtts.exports.files import read_template, write_export
from xtts.exports.myxtts import compare_template, render_myxtts, render_myxtts_override
from xtts.exports.native import render_native
from xtts.exports.tuned import WEIGHTS, Provenance, TunedConfig
from xtts.exports.verdict import VERDICTS, refusal

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
