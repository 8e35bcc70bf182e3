"""A new sweep from what was asked for: checked, its data prepared, and laid out on the machine or cluster."""

from __future__ import annotations

import os
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
    from xtts_sweep.arguments import settings
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
        budget=Budget(options.trials, options.epochs, seconds_of(options.budget)),
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
    from sweeps.wandb import choose_mode

    return choose_mode(given, os.environ)


def seconds_of(duration: str | None) -> float | None:
    """A duration such as 2h, or None."""
    from sweeps.common.budget import parse_duration

    return parse_duration(duration) if duration else None
