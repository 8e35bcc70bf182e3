"""Which checkpoints stay on the disk, and best/ made from one of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sweeps.confirm.plan import CONFIRMATION
from sweeps.run.folder import RunFolder
from sweeps.storage.checkpoint import UnreadableCheckpointError
from sweeps.storage.checkpoint_store import CheckpointStore
from sweeps.trainer import Trainer
from sweeps.trials.record import TrialRecord

KEPT = 3


def tidy_checkpoints(checkpoint_store: CheckpointStore, records: Iterable[TrialRecord], ended: TrialRecord) -> set[str]:
    """After `ended`: keep the best checkpoint of the best few trials, of the default, and of the first run of each
    config that is confirmed; an ended trial needs its last one no more. A trial that may be resumed keeps everything.

    Returns the trials of which nothing is kept now."""
    records = list(records)
    ranked = sorted(
        (record for record in records if record.status is not None and record.recommendable),
        key=lambda record: record.rank,
    )
    checkpoint_store.drop_last(ended.trial_id)
    firsts: dict[str | None, TrialRecord] = {}
    for record in sorted(records, key=lambda record: record.seed):
        if record.origin == CONFIRMATION:
            firsts.setdefault(record.label, record)
    defaults = [record for record in records if record.origin == "default"]
    kept = {record.trial_id for record in (*ranked[:KEPT], *firsts.values(), *defaults)}
    over = {record.trial_id for record in records if record.status not in (None, "budget")} - kept
    dropped = checkpoint_store.trials() & over
    for trial_id in dropped:
        checkpoint_store.drop(trial_id)
    return dropped


@dataclass(frozen=True, slots=True)
class Compared:
    """A trial to compare best/ with: the search's default or its best, with all parameters of its trainer."""

    who: Literal["default", "best"]
    record: TrialRecord
    params: Mapping[str, object]


def export_best(
    folder: RunFolder,
    checkpoint_store: CheckpointStore,
    best: TrialRecord,
    trainer_class: type[Trainer],
    params: Mapping[str, object],
    data: str,
    same_config: Sequence[TrialRecord] = (),
    compared: Compared | None = None,
) -> str | None:
    """Replace best/ with what the trainer makes of the best trial's weights; returns what went wrong, in a line.

    What the trainer wrote before it failed is kept.

    Where its weights are gone, the first of the `same_config` runs that has some takes its place. The trainer of
    `compared` adds what its `export_compared` writes.
    """
    best = next((one for one in (best, *same_config) if checkpoint_store.has_best(one.trial_id)), best)
    try:
        checkpoint = checkpoint_store.load_best(best.trial_id)
    except (OSError, UnreadableCheckpointError) as error:
        why = "its weights are gone" if isinstance(error, FileNotFoundError) else f"its weights cannot be read: {error}"
        return f"best/ was not written: {best.trial_id}: {why}; its config is in {folder.best_config.name}"
    trainer = trainer_class(params, data, best.seed)
    trainer.load_state_dict(checkpoint.state)
    temporary = folder.path / f".best.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    problem: str | None = None
    try:
        try:
            trainer.export_best(Path(temporary))
            if compared is not None:
                _export_compared(checkpoint_store, compared, trainer_class, data, temporary)
        except Exception as error:
            if not any(temporary.iterdir()):
                raise
            problem = f"best/ is not complete: {_reason(error)}"  # weights are worth more than samples
        shutil.rmtree(folder.best, ignore_errors=True)
        temporary.rename(folder.best)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return problem


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"


def _export_compared(
    checkpoint_store: CheckpointStore, compared: Compared, trainer_class: type[Trainer], data: str, target: Path
) -> None:
    """Let that trial's weights add to best/, where they are there and the trainer knows how."""
    try:
        checkpoint = checkpoint_store.load_best(compared.record.trial_id)
    except (OSError, UnreadableCheckpointError):
        return
    trainer = trainer_class(compared.params, data, compared.record.seed)
    trainer.load_state_dict(checkpoint.state)
    trainer.export_compared(target, compared.who)
