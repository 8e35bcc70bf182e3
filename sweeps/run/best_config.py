"""best_config.yaml: the best config under the names that a trainer's YAML has, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from sweeps.common.atomic_file import write_atomically
from sweeps.trials.record import TrialRecord


def write_best_config(
    path: Path,
    best: TrialRecord,
    fixed: Mapping[str, object],
    provenance: Mapping[str, object],
    *,
    verdict: str = "unconfirmed",
) -> None:
    """Replace best_config.yaml with a trial of the search; `fixed` are the parameters that every trial shared."""
    content = {
        "training": dict(best.params),
        "fixed": dict(fixed),
        "verdict": verdict,
        "provenance": {
            **provenance,
            "trial_id": best.trial_id,
            "objective": best.objective,
            "best_epoch": best.best_epoch,
            "epochs": best.epochs,
            "status": best.status or "running",
            "seed": best.seed,
            **({"coordinates": dict(best.coordinates)} if best.coordinates else {}),
        },
    }
    head = "# The search's best config; no other seed has confirmed it yet.\n" if verdict == "unconfirmed" else ""
    write_atomically(path, head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
