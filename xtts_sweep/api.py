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

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sweeps.common.program import program
from xtts_sweep.arguments import TRAINER

if TYPE_CHECKING:
    from sweeps.backend.environment import Environment
    from sweeps.run.config import SweepConfig
    from sweeps.run.resources import Resources
    from sweeps.run.run import SweepResult
    from sweeps.trainer import Trainer
    from xtts_sweep.diagnosis.diagnosis import Diagnosis

__all__ = ["SweepOptions", "SweepPlan", "confirm", "diagnose", "planned", "resume", "sweep"]

Log = Callable[[str], None]


@dataclass(frozen=True)
class SweepOptions:
    """What `sweep` takes, under the names of the command's options: `--val-data` is `val_data`."""

    space: str | None = None
    """A name or file; None: safe_weights, or what the trainer's spec searches"""
    data: str | None = None
    """A data set's folder; None: demo speech"""
    val_data: str | None = None
    accept_unusable: bool = False
    columns: str | None = None
    allow_outside: bool = False
    trials: int = 16
    epochs: int = 9
    model: str | None = None
    confirm_seeds: int | Literal["auto"] = "auto"
    smallest_gain: float = 1.0
    rivals: bool = False
    explain: bool = False
    stop_when_gain_below: float | None = None
    require: Sequence[str] = ()
    prior: Sequence[str] = ()
    from_runs: Sequence[str] = ()
    seed: int = 1
    budget: str | None = None
    gpus_per_trial: float | None = None
    cpus_per_trial: float | None = None
    concurrent: int | None = None
    name: str | None = None
    output: str = "runs"
    address: str | None = None
    storage: str | None = None
    wandb: Literal["offline", "online", "off"] | None = None
    lang: Literal["en", "fa"] = "en"
    trainer: str = TRAINER
    set: Sequence[str] | Mapping[str, object] = field(default_factory=tuple)
    """KEY=VALUE texts, or values by key"""
    allow_unsafe: bool = False
    command: str | None = None
    """The command line, for sweep.yaml"""


@dataclass(frozen=True)
class SweepPlan:
    """A sweep that is checked and prepared, and not started."""

    config: SweepConfig
    resources: Resources
    environment: Environment
    lines: Sequence[str]
    """Data and plan, for people"""

    def run(self, callbacks: Mapping[str, Any]) -> SweepResult:
        """Run it; `callbacks` as sweeps/tuner/callbacks.py has them."""
        from sweeps.tuner.api import run

        return run(self.config, environment=self.environment, resources=self.resources, **callbacks)


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
        budget_seconds=_seconds(budget),
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
        budget_seconds=_seconds(budget),
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


@contextmanager
def planned(options: SweepOptions, log: Log, *, start: bool = True) -> Iterator[SweepPlan]:
    """Check what is asked for, join the cluster if one is given, prepare the data, and plan the machine.

    Nothing is measured or started with `start` off. The cluster is left at the end.
    """
    from sweeps.backend.throughput import measured_resources
    from sweeps.run.resources import hidden_gpus
    from sweeps.tuner import api
    from xtts.cache_folder import cache_folder
    from xtts_sweep.preparation import prepare

    config = config_of(options)
    trainer = api.check(config)
    with api.environment_of(config, log) as environment:
        resources = api.plan_for(config, environment)
        folder = api.unused(environment, config)
        api.check_room(config, resources, trainer)
        check_wandb(options.wandb)
        prepared = prepare(trainer, options)
        config = replace(config, data=prepared.data, data_summary=prepared.summary)
        resources = measured_resources(resources, config, trainer, cache_folder() / "plans", start=start)
        found = trainer.check_before_sweep(
            prepared.data,
            config.seed,
            cache_folder() / "preflight",
            log,
            threads=resources.threads,
            gpus=("0",) if resources.gpus else (),
            start=start,
            remote=config.address is not None,
            fixed=config.set_params,
        )
        config = replace(config, data_summary={**prepared.summary, **found})
        lines = [*prepared.lines(), f"plan         {resources}", f"run          {folder.path}"]
        if config.space.ignored:
            assumed = f"; defaults: {', '.join(config.space.assumed)}" if config.space.assumed else ""
            lines.append(f"space        W&B's own keys are not read ({', '.join(config.space.ignored)}){assumed}")
        hidden = hidden_gpus(resources.gpus) if environment.cluster is None else ""
        yield SweepPlan(config, resources, environment, [*lines, hidden] if hidden else lines)


def config_of(options: SweepOptions) -> SweepConfig:
    """What was asked for, checked as far as that goes without data."""
    from sweeps.common.budget import Budget
    from sweeps.common.errors import RequestError
    from sweeps.run.config import SweepConfig
    from sweeps.search.options import GAIN_PERCENT, search_options
    from sweeps.space.limits import limits_from_mapping, load_limits
    from sweeps.space.space_file import load_space, override_defaults, space_from_mapping
    from sweeps.storage.object_store import storage_uri
    from sweeps.trainer import load_trainer, pinned
    from xtts.training.settings import DEMO_SETTINGS
    from xtts_sweep.overrides import settings
    from xtts_sweep.run_lookup import remembered

    asked = dict(options.set) if isinstance(options.set, Mapping) else settings(options.set)
    loadable, given = pinned(options.trainer, asked)
    trainer: type[Trainer] = load_trainer(loadable)
    own_space, own_limits = trainer.default_space(without=list(given)), trainer.own_limits()
    configured = trainer.configured_params(given)
    defaults = {**(trainer.default_params() or {}), **configured}
    if options.space is None and own_space is not None:
        hint = " (defaults: your config's; --set NAME=VALUE fixes one, --space FILE gives ranges)" if configured else ""
        space = space_from_mapping(override_defaults(own_space, configured), f"{options.trainer}{hint}")
    else:
        space = load_space(options.space or "safe_weights", defaults=defaults)
    fixed = dict(defaults)
    if options.data is None and options.trainer == TRAINER and not space.controls:
        fixed |= DEMO_SETTINGS
    if options.model is not None and "model" in given:
        raise RequestError(f"--model {options.model}: --set model={given['model']} says it too; give one of them")
    if options.model is not None and "model" in space.hyperparameters:
        raise RequestError(f"--model {options.model}: space {space.name} searches the model already; leave it out")
    if options.model is not None and "model" in fixed:
        given["model"] = options.model
    trainer.check_params({**fixed, **{name: value for name, value in given.items() if name in fixed}})
    gain = GAIN_PERCENT if options.stop_when_gain_below is None else options.stop_when_gain_below
    search = search_options(space, gain_percent=gain, require=list(options.require), prior=list(options.prior))
    if options.from_runs:
        search = replace(search, memory=remembered(options, space))
    return SweepConfig(
        name=options.name or f"{space.name}-{time.strftime('%Y%m%d-%H%M%S')}",
        output=Path(options.output),
        space=space,
        trainer=options.trainer,
        trainer_spec=loadable if loadable != options.trainer else None,
        limits=load_limits() if own_limits is None else limits_from_mapping(own_limits, options.trainer),
        data=options.data or "",
        budget=Budget(options.trials, options.epochs, _seconds(options.budget)),
        fixed={name: value for name, value in fixed.items() if name not in space.hyperparameters},
        set_params=given,
        seed=options.seed,
        concurrent=options.concurrent,
        cpus_per_trial=options.cpus_per_trial,
        gpus_per_trial=options.gpus_per_trial,
        allow_unsafe=options.allow_unsafe,
        address=options.address,
        storage=None if options.storage is None else storage_uri(options.storage),
        confirm_seeds=0 if space.controls else options.confirm_seeds,
        smallest_gain_percent=options.smallest_gain,
        rivals=options.rivals,
        explain=options.explain,
        command=options.command or f"{program()} (Python API)",
        search=search,
    )


def check_wandb(given: Any) -> Any:
    """W&B's mode; a wrong one is refused before anything starts."""
    import os

    from sweeps.wandb import choose_mode

    return choose_mode(given, os.environ)


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


def _seconds(duration: str | None) -> float | None:
    from sweeps.common.budget import parse_duration

    return parse_duration(duration) if duration else None


def _silent(line: str) -> None:
    del line
