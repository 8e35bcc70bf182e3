"""Keeps what a preflight found, so that the same spec, template, data and versions are checked once."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sweeps.common.atomic_file import write_atomically
from sweeps.common.errors import SweepFailed
from sweeps.external.preflight.check import preflight
from sweeps.external.preflight.result import Preflight
from sweeps.external.spec import TrainerSpec
from sweeps.external.trainer import ExternalTrainer


def checked_before(
    trainer: type[ExternalTrainer],
    data: str,
    seed: int,
    store: Path,
    *,
    threads: int,
    gpus: Sequence[str],
    start: bool,
    log: Callable[[str], None],
    fixed: Mapping[str, object] | None = None,
) -> Preflight | None:
    """The preflight's result, from `store` where the same spec, template, data and versions were checked before."""
    path = store / f"{_key(trainer.spec, data, fixed or {})}.json"
    with suppress(OSError, ValueError, TypeError):
        return Preflight(**json.loads(path.read_text(encoding="utf-8")))
    if not start:
        return None
    found = preflight(trainer, data, seed, threads=threads, gpus=gpus, log=log, fixed=fixed)
    keep(found, trainer.spec, data, store, fixed)
    return found


def keep(
    found: Preflight, spec: TrainerSpec, data: str, store: Path, fixed: Mapping[str, object] | None = None
) -> None:
    """What cannot be kept is checked again."""
    with suppress(OSError, SweepFailed):
        store.mkdir(parents=True, exist_ok=True)
        write_atomically(store / f"{_key(spec, data, fixed or {})}.json", json.dumps(found.as_dict()))


def _key(spec: TrainerSpec, data: str, fixed: Mapping[str, object]) -> str:
    """All that a preflight depends on: spec, template, data, the interpreter and the packages in its environment."""
    listing = (
        "import sys, importlib.metadata as m; "
        "print(sys.version, sorted({(d.metadata['Name'], d.version) for d in m.distributions()}, key=str))"
    )
    versions = ""
    with suppress(OSError, subprocess.SubprocessError):
        versions = subprocess.run(
            [spec.interpreter, "-c", listing], capture_output=True, text=True, timeout=60, check=True
        ).stdout
    content = "\n".join([spec.pinned, json.dumps(dict(fixed)), data, spec.interpreter, versions])
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
