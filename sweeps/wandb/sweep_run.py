"""The sweep in W&B: its sweep config, and the run that holds its table of trials, space, best config and verdict."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from sweeps.common.validation import is_number_text
from sweeps.run.config import SweepConfig
from sweeps.run.folder import RunFolder
from sweeps.search.asha import ETA
from sweeps.space.parameter import Parameter
from sweeps.space.space import Space
from sweeps.trials.objective import METRIC
from sweeps.trials.record import TrialRecord, best_record, reference_record
from sweeps.wandb.destination import Destination
from sweeps.wandb.run_opener import RunOpener

if TYPE_CHECKING:
    from wandb import Run

CONFIG_KEYS = (
    "trainer",
    "trials",
    "epochs",
    "budget_seconds",
    "seed",
    "allow_unsafe",
    "stopping",
    "search",
    "versions",
)


def log_sweep_run(
    opener: RunOpener,
    destination: Destination,
    folder: RunFolder,
    request: Mapping[str, object],
    records: Sequence[TrialRecord],
) -> None:
    """Write the run from the files of the run's folder; `request` is the content of sweep.yaml."""
    space = request.get("space")
    space = space if isinstance(space, dict) else {}
    config = {key: request[key] for key in CONFIG_KEYS if key in request}
    run = opener.open(destination.sweep_run_id, folder.name, "sweep", {**config, "space": space.get("name")}, ["sweep"])
    try:
        _log_table(run, folder.trials_csv)
        _log_artifact(run, f"{folder.name}-space", "search-space", {"space.yaml": _as_yaml(space)})
        _log_file(run, f"{folder.name}-best-config", "config", folder.best_config)
        _log_file(run, f"{folder.name}-verdict", "verdict", folder.verdict)
        run.summary.update(sweep_summary(records, folder.verdict))
    finally:
        opener.finish(run)


def sweep_summary(records: Sequence[TrialRecord], verdict: Path) -> dict[str, object]:
    """The result of the sweep, flat."""
    best, default = best_record(records), reference_record(records)
    summary: dict[str, object] = {f"trials_{status}": count for status, count in _statuses(records).items()}
    summary["trials"] = len(records)
    if best is not None:
        summary |= {"best_trial": best.trial_id, "best_objective": best.objective}
    if default is not None and default.objective is not None:
        summary["default_objective"] = default.objective
    return summary | _verdict_summary(verdict)


def table_of(text: str) -> tuple[list[str | int], list[list[object]]]:
    """Columns and rows of trials.csv: a column whose filled cells are all numbers holds numbers, else words."""
    rows = list(csv.reader(text.splitlines()))
    if not rows:
        return [], []
    columns: list[str | int] = [*rows[0]]
    cells = rows[1:]
    numeric = [all(is_number_text(row[index]) for row in cells if row[index]) for index in range(len(columns))]
    return columns, [
        [(float(cell) if numeric[index] else cell) if cell else None for index, cell in enumerate(row)] for row in cells
    ]


def _log_table(run: Run, path: Path) -> None:
    import wandb

    if not path.exists():
        return
    columns, rows = table_of(path.read_text(encoding="utf-8"))
    run.log({"trials": wandb.Table(columns=columns, data=rows)}, commit=True)


def _log_file(run: Run, name: str, kind: str, path: Path) -> None:
    if path.exists():
        _log_artifact(run, name, kind, {path.name: path.read_text(encoding="utf-8")})


def _log_artifact(run: Run, name: str, kind: str, files: Mapping[str, str]) -> None:
    import wandb

    artifact = wandb.Artifact(name, kind)
    for file, text in files.items():
        with artifact.new_file(file, mode="w", encoding="utf-8") as content:
            content.write(text)
    run.log_artifact(artifact)


def _as_yaml(space: Mapping[str, object]) -> str:
    return yaml.safe_dump(dict(space), sort_keys=False, allow_unicode=True)


def _statuses(records: Sequence[TrialRecord]) -> Counter[str]:
    return Counter(record.status or "running" for record in records)


def _verdict_summary(path: Path) -> dict[str, object]:
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"verdict": "unconfirmed"}
    kept = {key: given.get(key) for key in ("verdict", "difference_percent", "sentence")}
    return {key: value for key, value in kept.items() if value is not None}


def sweep_config(request: SweepConfig) -> dict[str, object]:
    """The config under which the finished runs are adopted; no agent is meant to run it."""
    space = request.space
    config: dict[str, object] = {
        "name": request.name,
        "description": space.description or f"space {space.name}",
        "method": "grid" if space.controls else "bayes",
        "metric": {"name": METRIC, "goal": "maximize" if request.objective_mode == "max" else "minimize"},
        "parameters": _controls(space) if space.controls else _searched(space),
        "run_cap": request.trials,
    }
    if not space.controls:
        rung = request.budget.first_rung
        config["early_terminate"] = {"type": "hyperband", "eta": ETA, "min_iter": rung}
    return config


def _searched(space: Space) -> dict[str, object]:
    return {parameter.name: _words(parameter) for parameter in space.parameters}


def _words(parameter: Parameter) -> Mapping[str, object]:
    if parameter.distribution == "constant":
        return {"value": parameter.values[0]}
    if parameter.distribution == "categorical":
        return {"values": list(parameter.values)}
    words = {"distribution": parameter.distribution, "min": parameter.min, "max": parameter.max}
    return words | ({"q": parameter.q} if parameter.q is not None else {})


def _controls(space: Space) -> dict[str, object]:
    values: dict[str, list[object]] = {}
    for config in space.trials:
        for name, value in config.params.items():
            if value not in values.setdefault(name, []):
                values[name].append(value)
    return {name: {"values": found} for name, found in values.items()}
