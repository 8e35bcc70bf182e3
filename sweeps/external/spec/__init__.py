"""The spec of an external trainer: a YAML file that says how to run a program and how to read its logs.

All problems of a spec are reported at once. Paths are relative to the spec's own folder.
"""

from sweeps.external.spec.keys import MetricsEntry, SpecFile
from sweeps.external.spec.load import load_spec, params_of
from sweeps.external.spec.shipped import SHIPPED_FOLDER, described_specs, shipped_specs
from sweeps.external.spec.trainer_spec import TrainerSpec

__all__ = [
    "SHIPPED_FOLDER",
    "MetricsEntry",
    "SpecFile",
    "TrainerSpec",
    "described_specs",
    "load_spec",
    "params_of",
    "shipped_specs",
]
