"""The Python API: sweep, resume, confirm and diagnose as the commands do it, with the same checks, files and defaults.

    from xtts_sweep.api import confirm, diagnose, resume, sweep

    result = sweep(data="my_voice", trials=16, epochs=9, budget="2h", name="voice")
    print(result.best.params, result.best.objective, result.verdict and result.verdict.word)
    for record in result.records:
        print(record.trial_id, record.status, record.objective)
    result = resume("voice", trials=24)
    result = confirm("voice")
    print(result.folder.best_config.read_text())
    found = diagnose("logs/of_any_trainer")
    print(found.state, found.best, [finding.text for finding in found.findings])

Data is prepared and the layout of trials on this machine is measured as the command does it. `examples/python_api.py`
goes through a whole run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtts_sweep.sweep_plan import Log, SweepOptions, SweepPlan, check_wandb, planned, seconds_of

if TYPE_CHECKING:
    from sweeps.run.run import SweepResult
    from xtts_sweep.diagnosis.diagnosis import Diagnosis

__all__ = ["SweepOptions", "SweepPlan", "confirm", "diagnose", "planned", "resume", "sweep"]


def sweep(*, log: Log | None = None, **options: Any) -> SweepResult:
    """Run a new sweep: what `xtts-sweep` without a command does.

    Args:
        log: Is called with each line for people; None prints nothing.
        options: The fields of `SweepOptions`.

    Raises:
        RequestError: Something asked for cannot be; nothing was written.
        SweepFailed: No trial came to a result.
    """
    given, say = SweepOptions(**options), log or _silent
    with planned(given, say) as plan:
        for line in plan.lines:
            say(line)
        return plan.run(callbacks_of(given.wandb, given.lang, log))


def resume(
    name: str | None = None,
    *,
    output: str = "runs",
    trials: int | None = None,
    budget: str | None = None,
    stop_when_gain_below: float | None = None,
    address: str | None = None,
    storage: str | None = None,
    wandb: str | None = None,
    lang: str = "en",
    log: Log | None = None,
    callbacks: Mapping[str, Any] | None = None,
) -> SweepResult:
    """Resume an interrupted run (None: the newest), or give it more `trials` or time: `xtts-sweep resume`."""
    from sweeps.tuner import api

    return api.resume(
        _path(name, output, storage),
        trials=trials,
        budget_seconds=seconds_of(budget),
        gain_percent=stop_when_gain_below,
        address=address,
        storage=storage,
        **(callbacks_of(wandb, lang, log) if callbacks is None else callbacks),
    )


def confirm(
    name: str | None = None,
    *,
    output: str = "runs",
    seeds: int | None = None,
    rivals: bool = False,
    explain: bool = False,
    budget: str | None = None,
    address: str | None = None,
    storage: str | None = None,
    wandb: str | None = None,
    lang: str = "en",
    log: Log | None = None,
    callbacks: Mapping[str, Any] | None = None,
) -> SweepResult:
    """Test a run's best config against its default over fresh seeds: `xtts-sweep confirm`.

    `seeds` is how many pairs there shall be in all; None: until there is an answer.
    """
    from sweeps.tuner import api

    return api.confirm(
        _path(name, output, storage),
        seeds=seeds,
        with_rivals=rivals,
        explain=explain,
        budget_seconds=seconds_of(budget),
        address=address,
        storage=storage,
        **(callbacks_of(wandb, lang, log) if callbacks is None else callbacks),
    )


def diagnose(
    path: str | Path,
    *,
    trainer: str = "auto",
    names: Mapping[str, str] | None = None,
    settings: Mapping[str, object] | None = None,
    data: str | None = None,
) -> Diagnosis:
    """Diagnose the training runs at or below `path`, of any trainer, from their logs.

    Args:
        path: A log file, the folder of a run or of several, or a run of this program.
        trainer: Name of a known trainer, a spec file, or `auto`.
        names: Tags by name, such as {"val/mel": "my/tag"}; these come before what is recognised.
        settings: The trainer's settings where no config file holds them, such as {"mel_loss_weight": 35}.
        data: The data set's folder, for skill and units.
    """
    from xtts.data.build_dataset import no_progress
    from xtts_sweep.diagnosis.diagnose import data_scale
    from xtts_sweep.diagnosis.diagnose import diagnose as diagnosed

    scale = None if data is None else data_scale(data, no_progress)
    return diagnosed(path, trainer=trainer, names=names, settings=settings, data=scale)


def callbacks_of(wandb: str | None, lang: str, log: Log | None = None, display: Any = None) -> dict[str, Any]:
    """Progress display, report writer, W&B logger and diagnosis of a run."""
    from functools import partial

    from sweeps.run.progress import Display, LineDisplay
    from xtts_sweep.integration import diagnosis, wandb_logger, write_page

    if display is None:
        display = Display() if log is None else LineDisplay(log)
    mode = check_wandb(wandb)
    return {
        "display": display,
        "report": partial(write_page, lang=lang),
        "loggers": [] if mode == "off" else [wandb_logger(mode)],
        "diagnosis": diagnosis,
    }


def _path(name: str | None, output: str, storage: str | None) -> Path:
    from xtts_sweep.run_lookup import folder_to_resume

    return folder_to_resume(name, output, storage).path


def _silent(line: str) -> None:
    del line
