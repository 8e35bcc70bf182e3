"""The config file that `train --config` reads back."""

from __future__ import annotations

from xtts.export.comments import header
from xtts.export.exporter import Export, Exporter
from xtts.export.tuned import Provenance, TunedConfig
from xtts.export.yaml_text import yaml_value


def render_native(tuned: TunedConfig, provenance: Provenance) -> str:
    """YAML with the model's name and a `training:` mapping of all parameters, under a comment of its provenance."""
    note = (
        f"Tuned on log-mel with mean {tuned.mel_mean:.4f} and sd {tuned.mel_sd:.4f}; "
        "training measures its own data's and stores them with every checkpoint."
    )
    lines = [f"model: {yaml_value(tuned.model)}", "training:"]
    lines += [f"  {yaml_value(name)}: {yaml_value(value)}" for name, value in tuned.params.items()]
    return header(provenance, [note], own_model=True) + "".join(f"{line}\n" for line in lines)


EXPORTER = Exporter("YAML for train --config", lambda job: Export(render_native(job.tuned, job.provenance)))
