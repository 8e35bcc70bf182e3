"""Adds a diagnosis to the W&B run whose log was read: a note and a table, in a new fragment with the run's id.

The file that was read stays as it is. Where it is an offline run, so is the fragment: `wandb sync` uploads both. A
fragment replaces config and summary of its run, so both are given again.
"""

from __future__ import annotations

import glob
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from messages import Texts
from sweeps.common.errors import RequestError, named_reason
from sweeps.external.readers.wandb_offline import WandbReader, values
from sweeps.wandb.run_opener import run_settings

if TYPE_CHECKING:
    from xtts_sweep.diagnosis.diagnosis import Diagnosis

TABLE = "diagnosis"
COLUMNS = ("severity", "finding", "next step", "code")


def add_to_wandb(found: Diagnosis, lang: str) -> str:
    """Add the findings; a line that says where they are. Raises RequestError where the log is of no W&B run."""
    file = _log_of(found)
    logged = _Logged.of(file)
    lines = found.lines(lang)
    note = "\n".join(filter(None, [logged.run.notes, *lines[: lines.index("") if "" in lines else None]]))
    name, texts, before = logged.run.run_id, Texts("diagnose", lang), _parts(file)
    try:
        where = _write(logged, file.parent, note, found, lang)
    except Exception as error:  # of many kinds: no login, no network, no room
        for folder in _parts(file) - before:
            shutil.rmtree(folder, ignore_errors=True)
        raise RequestError(
            f"--wandb: nothing was added to run {name}: {named_reason(error)}; an online run needs `wandb login` and"
            " the network"
        ) from error
    if _is_offline(file.parent):
        return texts("wandb_added_offline", run=name, where=where, folder=file.parent)
    return texts("wandb_added", run=name, where=where)


@dataclass
class _Logged:
    """What a .wandb file says of its run: W&B's record of it, the last step, the summary."""

    run: Any = None
    step: int = -1
    summary: dict[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path) -> _Logged:
        found = cls()
        for record in WandbReader(file).messages():
            kind = record.WhichOneof("record_type")
            if kind == "run" and found.run is None:
                found.run = record.run
            elif kind == "history":
                found.step = max(found.step, int(record.history.step.num))
            elif kind == "summary":
                found.summary |= values(record.summary.update)
        if found.run is None:
            raise RequestError(f"--wandb: {file} does not say which run it is of")
        return found


def _log_of(found: Diagnosis) -> Path:
    files = sorted(found.folder.glob("run-*.wandb")) if found.folder is not None else []
    if not files:
        raise RequestError(
            f"--wandb: {found.name} has no run-*.wandb next to its log; give the folder of the W&B run"
            " (wandb/run-... or wandb/offline-run-...)"
        )
    return files[0]


def _parts(file: Path) -> set[Path]:
    """The folders of the run that a .wandb file is of."""
    return set(file.parent.parent.glob(f"*run-*-{glob.escape(file.stem.removeprefix('run-'))}"))


def _is_offline(folder: Path) -> bool:
    return folder.name.startswith("offline-")


def _write(logged: _Logged, folder: Path, note: str, found: Diagnosis, lang: str) -> str:
    """A fragment of the run with the note and the table, and where it is: its folder, or the run's page."""
    import wandb

    run, online = logged.run, not _is_offline(folder)
    fragment = wandb.init(
        project=run.project or None,
        entity=run.entity or None,
        id=run.run_id,
        name=run.display_name or None,
        group=run.run_group or None,
        notes=note,
        config={name: value for name, value in values(run.config.update).items() if name != "_wandb"},
        dir=folder.parent.parent,
        resume="allow",
        reinit="create_new",
        settings=run_settings("online" if online else "offline", None),
    )
    rows = [[one.severity, one.words("text", lang), one.words("todo", lang), one.code] for one in found.findings]
    fragment.log({TABLE: wandb.Table(columns=[*COLUMNS], data=rows)}, step=logged.step + 1)
    fragment.summary.update({name: value for name, value in logged.summary.items() if not name.startswith("_")})
    fragment.summary["diagnosis/state"] = found.state
    where = str(fragment.url) if online else str(Path(fragment.sync_dir))
    fragment.finish()
    return where
