"""Values of a space, --set and listed trials that the trainer would refuse, found before anything is started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sweeps.common.errors import one_line
from sweeps.common.validation import is_number_text
from sweeps.run.config import SweepConfig
from sweeps.space.parameter import Parameter
from sweeps.trainer import Trainer

SOMEWHERE_BETWEEN = 0.37
"""Of the way through a range: what a trial may draw that is neither end."""

FIXED = "--set"


def impossible_values(trainer: type[Trainer], config: SweepConfig, known: Mapping[str, object]) -> list[str]:
    """One line for each value that the trainer refuses: bounds, listed values, constants, the default, fixed values."""
    problems: dict[str, str] = {}
    said: set[str] = set()
    for where, name, value in _given(config):
        problem = _problem(trainer, known, name, value)
        if problem:
            if problem not in said:  # the same words about another value are about neither
                problems.setdefault(f"{name} {value!r}", f"{where}: {problem}{_hint(value, known.get(name))}")
            said.add(problem)
        elif where in (FIXED, _set_in(config)):
            known = {**known, name: value}  # what a trainer needs at all may be fixed: the path of its own config
    for parameter in config.space.parameters:
        between = _drawn(parameter)
        whole = _is_whole(known.get(parameter.name))
        if not whole or not isinstance(between, float) or any(key.startswith(parameter.name) for key in problems):
            continue
        problem = _problem(trainer, known, parameter.name, between)
        if problem:
            problems[parameter.name] = (
                f"space {config.space.name}: {parameter.distribution} draws values such as {problem}; "
                "use int_uniform, or q_uniform with whole numbers"
            )
    return list(problems.values())


def _given(config: SweepConfig) -> Iterator[tuple[str, str, object]]:
    """Where each value is given, the parameter's name and the value; what is fixed for all trials first."""
    space = config.space
    yield from ((FIXED, name, fixed) for name, fixed in config.set_params.items())
    yield from ((_set_in(config), name, fixed) for name, fixed in space.fixed.items())
    for parameter in space.parameters:
        listed = [*parameter.values, *(end for end in (parameter.min, parameter.max) if end is not None)]
        for value in (*listed, parameter.default):
            yield f"space {space.name}", parameter.name, value
    for trial in space.trials:
        yield from ((f"space {space.name}, trial {trial.label}", name, fixed) for name, fixed in trial.params.items())


def _set_in(config: SweepConfig) -> str:
    return f"space {config.space.name}, set"


def _problem(trainer: type[Trainer], known: Mapping[str, object], name: str, value: object) -> str:
    if name not in known:  # a ratio, or a trainer that takes any name
        return ""
    try:
        trainer.check_params({**known, name: value})
    except Exception as error:  # a trainer's package has its own kind of error
        return one_line(error)
    return ""


def _hint(value: object, default: object) -> str:
    if isinstance(value, bool) and not isinstance(default, bool):
        return f"; YAML reads off, no, on and yes as {str(value).lower()}: quote the word, or write null for none"
    if is_number_text(value):
        return "; write the number without quotes"
    return ""


def _drawn(parameter: Parameter) -> object:
    return None if parameter.values else parameter.at(SOMEWHERE_BETWEEN)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
