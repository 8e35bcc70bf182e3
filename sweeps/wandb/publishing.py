"""Publish an offline run: upload it, adopt its trials as a W&B sweep, save a workspace that shows them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sweeps.common.errors import RequestError, SweepFailed
from sweeps.run.folder import RunFolder
from sweeps.run.run import Run, read_run
from sweeps.space.space import Space
from sweeps.trials.record import searched
from sweeps.wandb.child_process import ChildProcess
from sweeps.wandb.content import Ratio, history_row
from sweeps.wandb.destination import Destination, destination_in, write_destination
from sweeps.wandb.environment import environment, logged_in
from sweeps.wandb.logger import Samples, record_again, samples_of
from sweeps.wandb.sweep_run import sweep_config

UPLOADS_AT_ONCE = 4
ADOPTION_SECONDS = 120.0
MODULE = "sweeps.wandb.publish_process"


def publish(
    path: Path,
    *,
    project: str,
    entity: str | None = None,
    ratios: Sequence[Ratio] = (),
    samples: Samples | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Publish the run in `path` and return the result in lines; `log` is called with lines on the progress.

    `project`, `entity`, `ratios` and `samples` count where the run was not recorded yet: then its runs are written from
    the journal first.
    RequestError without a login, SweepFailed where W&B did not take everything; publishing again uploads the rest.
    """
    run = read_run(path)
    if not logged_in(os.environ):
        raise RequestError(
            f"publish {run.folder.name}: there is no W&B login here; run `wandb login` or set WANDB_API_KEY"
        )
    folder = run.folder.path.resolve() / "wandb"
    with run.folder.locked():
        destination = destination_in(folder, project, entity)
        _record_missing(run, folder, destination, ratios, samples, log)
        _upload(run.folder, folder, log)
        found = _adopt(run, folder, destination)
        published = replace(
            destination, entity=found["entity"], sweep_id=found["sweep_id"], workspace=found.get("workspace")
        )
        write_destination(folder, published)
    return [
        f"{len(run.records) + 1} runs are in project {destination.project} of {found['entity']}",
        f"sweep {found['sweep_id']} has adopted the trials",
        found.get("workspace_problem") or f"workspace {found['workspace']}",
    ]


def _record_missing(
    run: Run,
    folder: Path,
    destination: Destination,
    ratios: Sequence[Ratio],
    samples: Samples | None,
    log: Callable[[str], None],
) -> None:
    recorded = {path.name for path in _logs(folder)}
    missing = [record.trial_id for record in run.records if _log_name(destination, record.trial_id) not in recorded]
    if missing or _log_name(destination, "sweep") not in recorded:
        log(f"writing from trials.jsonl what {folder} lacks: {len(missing)} of {len(run.records)} trials")
        with tempfile.TemporaryDirectory(prefix="mels-", ignore_cleanup_errors=True) as pictures:
            found = samples_of(samples, run, Path(pictures), log)
            record_again(run.folder, missing, ratios, [one for one in found if one.trial_id in missing])


def _upload(run_folder: RunFolder, folder: Path, log: Callable[[str], None]) -> None:
    command = [sys.executable, "-P", "-m", "wandb", "sync", "--include-online", "-n", str(UPLOADS_AT_ONCE), str(folder)]
    last, done, total = "", 0, len(_unsent(folder))
    with tempfile.TemporaryDirectory(prefix="wandb-", ignore_cleanup_errors=True) as scratch:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(os.environ, folder, Path(scratch), online=True),
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                last = line.strip() or last
                if "Finished syncing" in line:
                    done += 1
                    log(f"uploaded {done} of {total}")
        finally:
            process.kill()
            process.wait()
    left = _unsent(folder)
    if left:
        raise SweepFailed(
            f"publish {run_folder.name}: W&B did not take {len(left)} of {total} run files "
            f"({last[:200]}); publish again to send the rest"
        )


def _adopt(run: Run, folder: Path, destination: Destination) -> dict[str, str]:
    records = searched(run.records)
    task = {
        "entity": destination.entity,
        "project": destination.project,
        "group": run.folder.name,
        "sweep_id": destination.sweep_id,
        "workspace": destination.workspace,
        "config": sweep_config(run.config),
        "run_ids": [destination.run_id(record.trial_id) for record in records],
        "parameters": {name: name in _logarithmic(run.config.space) for name in run.config.columns},
        "metrics": sorted({name for record in records for name in history_row(record.last_report)}),
    }
    found = ChildProcess(MODULE, task, folder, online=True).end({}, ADOPTION_SECONDS)
    if found.get("problem"):
        raise SweepFailed(
            f"publish {run.folder.name}: the runs are uploaded, but no sweep was made of them ({found['problem']})"
        )
    return found


def _logarithmic(space: Space) -> set[str]:
    named = {parameter.name for parameter in space.parameters if parameter.logarithmic}
    return named | set(space.ratios.hyperparameters if space.ratios is not None else ())


def _log_name(destination: Destination, trial_id: str) -> str:
    return f"run-{destination.run_id(trial_id)}.wandb"


def _unsent(folder: Path) -> list[Path]:
    return [path for path in _logs(folder) if not path.with_suffix(".wandb.synced").exists()]


def _logs(folder: Path) -> Iterator[Path]:
    return folder.glob("*/*.wandb")
