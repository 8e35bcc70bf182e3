"""Keeps tests quick on small machines and away from a person's own folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for the whole session, so that no test reads or fills the person's."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["XTTS_SWEEP_CACHE"] = str(folder)
    return folder
