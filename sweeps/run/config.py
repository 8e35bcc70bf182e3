"""What is asked of a sweep, and the same as sweep.yaml, from which a run is repeated or resumed."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, cast

from sweeps.common.budget import Budget
from sweeps.common.errors import RequestError
from sweeps.confirm.plan import SMALLEST_GAIN_PERCENT, Design
from sweeps.run.resources import Resources, resources_from_mapping
from sweeps.search.asha import Rungs
from sweeps.search.options import SearchOptions, search_options_from_mapping, usual_options
from sweeps.search.sampler import cohort_size
from sweeps.space.limits import Limits, limits_from_mapping, load_limits
from sweeps.space.space import Space
from sweeps.space.space_file import space_from_mapping
from sweeps.trainer import PINNED
from sweeps.trials.objective import METRIC, MODES

DATA_CHANGED = "changed"
"""Key of the data's summary: in one line how the data has changed since the run began."""
PACKAGES = ("ray", "optuna", "torch", "numpy", "scipy", "numba", "safetensors")


@dataclass(frozen=True)
class SweepConfig:
    """A sweep to run. `fixed` are the trainer's defaults, `set_params` what --set changes in them.

    `confirm_seeds` pairs of runs confirm the search's best against the default; "auto": as many as the answer takes; 0:
    nothing is confirmed. A gain below `smallest_gain_percent` counts as no difference. `rivals`: the
    trainer's baselines that need no sweep run with the search, and are judged with it.
    """

    name: str
    output: Path
    space: Space
    trainer: str
    data: str
    budget: Budget
    data_summary: Mapping[str, object] = field(default_factory=dict)
    fixed: Mapping[str, object] = field(default_factory=dict)
    set_params: Mapping[str, object] = field(default_factory=dict)
    seed: int = 1
    concurrent: int | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None
    allow_unsafe: bool = False
    address: str | None = None
    storage: str | None = None
    data_stored: str | None = None
    """The name under which the storage holds the data"""
    limits: Limits = field(default_factory=load_limits)
    cohort: int | None = None
    confirm_seeds: int | Literal["auto"] = 0
    smallest_gain_percent: float = SMALLEST_GAIN_PERCENT
    rivals: bool = False
    explain: bool = False
    """Whether a better finalist is compared with itself without each of its changes"""
    trainer_spec: str | None = None
    """An external trainer's spec as it was when the sweep started, with its template: what workers load"""
    objective_mode: str = "min"
    """The trainer's: whether a lower or a higher objective is better"""
    command: str | None = None
    search: SearchOptions = field(default_factory=usual_options)

    @property
    def trials(self) -> int:
        """How many trials will run: a space of controls runs its list."""
        return len(self.space.trials) if self.space.controls else self.budget.trials

    @property
    def confirmation_design(self) -> Design:
        """The rule by which the confirmation is judged."""
        return Design(stops_early=self.confirm_seeds == "auto", smallest_gain_percent=self.smallest_gain_percent)

    @property
    def most_pairs(self) -> int:
        """The most pairs that the confirmation runs."""
        return self.confirmation_design.most_seeds if self.confirm_seeds == "auto" else self.confirm_seeds

    @property
    def loadable_trainer(self) -> str:
        """What `load_trainer` takes."""
        return self.trainer_spec or self.trainer

    @property
    def shared_params(self) -> dict[str, object]:
        """The parameters that all trials share."""
        return {**self.fixed, **self.space.fixed, **self.set_params}

    @property
    def acting_limits(self) -> Limits:
        """The limits that configs are drawn into: none where leaving them was asked for."""
        return Limits({}) if self.allow_unsafe or self.space.controls else self.limits

    @property
    def sobol_cohort(self) -> int:
        """How many Sobol configs come before the model; fixed when the run starts."""
        return cohort_size(self.budget.trials, len(self.space.searched)) if self.cohort is None else self.cohort

    @property
    def columns(self) -> list[str]:
        """The searched names: coordinates first where the search has its own, then the trainer's hyperparameters."""
        ratios = list(self.space.ratios.pairs) if self.space.ratios is not None else []
        return [*ratios, *self.space.hyperparameters]


def sweep_yaml(config: SweepConfig, resources: Resources) -> dict[str, object]:
    """The content of sweep.yaml."""
    rungs = Rungs.of(config.budget)
    return {
        "name": config.name,
        "command": config.command,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "space": {"name": config.space.name, **config.space.source},
        "limits": config.limits.as_dict(),
        "allow_unsafe": config.allow_unsafe,
        "trainer": config.trainer,
        **({"trainer_spec": json.loads(config.trainer_spec.removeprefix(PINNED))} if config.trainer_spec else {}),
        "data": config.data,
        "data_summary": dict(config.data_summary),
        **({"storage": config.storage, "data_stored": config.data_stored} if config.storage else {}),
        "params": config.shared_params,
        "objective": {"metric": METRIC, "mode": config.objective_mode},
        "trials": config.trials,
        "epochs": config.budget.epochs,
        "budget_seconds": config.budget.seconds,
        "seed": config.seed,
        "confirm_seeds": config.confirm_seeds,
        "smallest_gain_percent": config.smallest_gain_percent,
        "rivals": config.rivals,
        "explain": config.explain,
        "search": {
            "order": ["default", "sobol", "model"],
            "sobol": config.sobol_cohort,
            "model": "gaussian process over rungs and ends",
            **config.search.as_dict(),
        },
        "stopping": {"rule": "asha", "eta": rungs.eta, "rungs": list(rungs.epochs)},
        "plan": resources.as_dict(),
        "versions": _versions(),
        "git_commit": git_commit(),
    }


def sweep_config_from_yaml(given: Mapping[str, object], output: Path, where: str) -> tuple[SweepConfig, Resources]:
    """The request and the plan that sweep.yaml holds; RequestError names what is missing or wrong."""
    try:
        content = cast(Mapping[str, Any], given)
        space = space_from_mapping(content["space"], where)
        config = SweepConfig(
            name=str(content["name"]),
            output=output,
            space=space,
            search=search_options_from_mapping(content["search"], space),
            trainer=str(content["trainer"]),
            trainer_spec=PINNED + json.dumps(content["trainer_spec"]) if content.get("trainer_spec") else None,
            data=str(content["data"]),
            budget=Budget(int(content["trials"]), int(content["epochs"]), content["budget_seconds"]),
            data_summary=dict(content["data_summary"]),
            fixed=dict(content["params"]),
            seed=int(content["seed"]),
            allow_unsafe=bool(content["allow_unsafe"]),
            limits=limits_from_mapping(content["limits"], where),
            cohort=int(content["search"]["sobol"]),
            confirm_seeds=_confirm_seeds(content.get("confirm_seeds", 0)),
            smallest_gain_percent=float(content.get("smallest_gain_percent", SMALLEST_GAIN_PERCENT)),
            rivals=bool(content.get("rivals", False)),
            explain=bool(content.get("explain", False)),
            objective_mode=_mode(content.get("objective", {}).get("mode", "min")),
            storage=content.get("storage"),
            data_stored=content.get("data_stored"),
        )
        return config, resources_from_mapping(content["plan"])
    except KeyError as error:
        raise RequestError(f"{where}: has no {error.args[0]}; it was not written by a sweep") from error
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise RequestError(f"{where}: {error}; it was not written by a sweep") from error


def _mode(given: object) -> str:
    if given not in MODES:
        raise ValueError(f"objective: mode is {given!r}, not min or max")
    return str(given)


def raised(config: SweepConfig, trials: int | None, budget_seconds: float | None) -> SweepConfig:
    """The request with more trials or more time, for a resume."""
    if trials is not None and config.space.controls and trials != config.trials:
        raise RequestError(f"--trials {trials}: space {config.space.name} runs its own list of {config.trials}")
    budget = replace(
        config.budget,
        trials=config.budget.trials if trials is None else trials,
        seconds=config.budget.seconds if budget_seconds is None else budget_seconds,
    )
    return replace(config, budget=budget)


def _confirm_seeds(given: object) -> int | Literal["auto"]:
    return "auto" if given == "auto" else int(str(given))


def git_commit() -> str | None:
    """The commit that this code stands at, '+' where it was changed since; None outside git."""
    folder = Path(__file__).resolve().parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
