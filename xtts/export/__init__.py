"""Tuned configs in the formats of other trainers: ours, MyXTTS, Coqui's VITS, or the user's own template."""

from xtts.export.errors import ExportError
from xtts.export.exporter import Exporter, ExportJob, export_config, exporter_named, exporters
from xtts.export.files import read_template, write_export
from xtts.export.tuned import WEIGHTS, Provenance, TunedConfig, TunedParams
from xtts.export.verdict import VERDICTS, refusal

__all__ = [
    "VERDICTS",
    "WEIGHTS",
    "ExportError",
    "ExportJob",
    "Exporter",
    "Provenance",
    "TunedConfig",
    "TunedParams",
    "export_config",
    "exporter_named",
    "exporters",
    "read_template",
    "refusal",
    "write_export",
]
