"""The files of examples/cluster."""

from __future__ import annotations

from typing import Any

import yaml

from tests import ROOT

CLUSTER = ROOT / "examples" / "cluster"


def kubernetes() -> dict[str, dict[str, Any]]:
    """The job of Kubernetes, by the kind of each document."""
    documents = yaml.safe_load_all((CLUSTER / "rayjob.yaml").read_text())
    return {document["kind"]: document for document in documents}
