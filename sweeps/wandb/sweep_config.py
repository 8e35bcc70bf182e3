"""A run's search in the words of a W&B sweep config, whose schema takes no other keys."""

from __future__ import annotations

from collections.abc import Mapping

from sweeps.trials.objective import METRIC
from sweeps.space.parameter import Parameter
from sweeps.run.config import ETA, SweepConfig
from sweeps.space.space import Space


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
