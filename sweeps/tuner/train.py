"""One full training run with one config, without Ray: checkpoints, a record of every epoch, resumable."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from sweeps.common.atomic_file import write_atomically, write_failure
from sweeps.common.errors import RequestError, SweepFailed
from sweeps.common.strict_yaml import read_yaml_mapping
from sweeps.space.configuration import identity
from sweeps.storage.checkpoint import (
    BEST,
    LAST,
    Checkpoint,
    UnreadableCheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from sweeps.trainer import Trainer, TrialContext, unknown_params
from sweeps.trials.metrics import ReportError, plain_report
from sweeps.trials.objective import objective_of, sign_of

RECORD, CONFIG = "epochs.jsonl", "config.yaml"


@dataclass(frozen=True)
class SingleRun:
    """What to train, on what, for how long and where."""

    folder: Path
    trainer: type[Trainer]
    params: Mapping[str, object]
    data: str
    seed: int
    epochs: int
    known: Mapping[str, object] = field(default_factory=dict)
    """What else the folder's config.yaml states, for those who read its log"""

    @property
    def identity(self) -> dict[str, object]:
        """What has to agree for a checkpoint to be this run's; the number of epochs may be raised."""
        return {"identity": identity(self.params), "data": self.data, "seed": self.seed}


def read_config(path: Path, trainer: type[Trainer], changes: Mapping[str, object]) -> dict[str, object]:
    """The trainer's parameters of a config with a `training:` section, as `export --to native` and sweeps write it."""
    content = read_yaml_mapping(path)
    training = content.get("training")
    if not isinstance(training, Mapping):
        raise RequestError(f"{path}: has no `training:` section with the parameters")
    fixed = content.get("fixed")
    given = {**(fixed if isinstance(fixed, Mapping) else {}), **training}
    if "model" in content:
        given.setdefault("model", content["model"])
    params = {str(name): value for name, value in given.items()} | dict(changes)
    known = trainer.default_params()
    if known is None:
        return params
    problems = unknown_params(dict.fromkeys(params, str(path)), known)
    if problems:
        raise RequestError("; ".join(problems))
    return {**known, **trainer.configured_params(params), **params}


def train(run: SingleRun, *, log: Callable[[str], None], stop: Callable[[], bool]) -> Mapping[str, object] | None:
    """Train to the last epoch, or until `stop` says so after one; the best epoch's report, None before the first.

    Resumes from the folder's checkpoint where there is one.

    Raises:
        RequestError: the folder holds another run, or its checkpoint cannot be read.
        SweepFailed: training diverges, the trainer's report is none, or the disk is full.
    """
    trainer = run.trainer(run.params, run.data, run.seed)
    try:
        return _train(run, trainer, log, stop)
    except ReportError as error:
        raise SweepFailed(f"{run.folder}: {error}") from error
    finally:
        trainer.close()


def _train(
    run: SingleRun, trainer: Trainer, log: Callable[[str], None], stop: Callable[[], bool]
) -> Mapping[str, object] | None:
    reports = _load(run, trainer)
    if reports:
        log(f"resuming after epoch {reports[-1]['epoch']} of {run.folder}")
    trainer.start(TrialContext(run.folder.name, run.epochs, folder=run.folder))
    best = _best(run, reports)
    while len(reports) < run.epochs and not stop():
        begun = time.perf_counter()
        report = {**plain_report(trainer.train_epoch()), "epoch": len(reports) + 1}
        if report.get("diverged") or objective_of(report) is None:
            _record(run, [*reports, report])
            raise SweepFailed(f"{run.folder}: diverged in epoch {report['epoch']}: {report.get('diverged')}")
        reports.append(report)
        improved = _best(run, reports) is report
        _save(run, trainer, reports, improved)
        best = report if improved else best
        log(_line(report, improved, time.perf_counter() - begun))
    return best


def best_trainer(run: SingleRun) -> Trainer:
    """The trainer as it was after its best epoch."""
    trainer = run.trainer(run.params, run.data, run.seed)
    trainer.load_state_dict(load_checkpoint(run.folder / BEST).state)
    return trainer


def _load(run: SingleRun, trainer: Trainer) -> list[dict[str, Any]]:
    path = run.folder / LAST
    try:
        checkpoint = load_checkpoint(path)
    except FileNotFoundError:
        return []
    except UnreadableCheckpointError as error:
        raise RequestError(f"{error}; remove it to start anew") from error
    if {key: checkpoint.about.get(key) for key in run.identity} != run.identity:
        raise RequestError(f"{run.folder}: holds a run with another config, data or seed; choose another --name")
    trainer.load_state_dict(checkpoint.state)
    return [dict(report) for report in cast(list[dict[str, Any]], checkpoint.about["reports"])]


def _save(run: SingleRun, trainer: Trainer, reports: list[dict[str, Any]], improved: bool) -> None:
    checkpoint = Checkpoint(trainer.state_dict(), {**run.identity, "reports": reports})
    try:
        if improved:
            save_checkpoint(run.folder / BEST, checkpoint)
        save_checkpoint(run.folder / LAST, checkpoint)
    except OSError as error:
        raise write_failure(run.folder / LAST, error) from error
    _record(run, reports)


def _record(run: SingleRun, reports: Sequence[Mapping[str, object]]) -> None:
    """A line for each epoch, and the config next to them, for people and for `diagnose`; a resume reads neither."""
    about = {**run.params, "seed": run.seed, **run.known}
    write_atomically(run.folder / CONFIG, yaml.safe_dump(about, sort_keys=False))
    write_atomically(run.folder / RECORD, "".join(json.dumps(report) + "\n" for report in reports))


def _best(run: SingleRun, reports: list[dict[str, Any]]) -> dict[str, Any] | None:
    sign = sign_of(run.trainer.objective_mode)
    return min(reports, key=lambda report: sign * float(report["objective"]), default=None)


def _line(report: Mapping[str, Any], improved: bool, seconds: float) -> str:
    figures = [f"epoch {report['epoch']}", f"objective {report['objective']:.4f}{' (best so far)' if improved else ''}"]
    figures += [f"{name} {report[name]:.4f}" for name in ("loss", "val/next", "text_use") if name in report]
    return "  ".join([*figures, f"{seconds:.1f} s"])
