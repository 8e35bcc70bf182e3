"""What is wrong with how the parts of a spec refer to each other: placeholders, keys of the template, limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sweeps.common.errors import RequestError, meant
from sweeps.external.config_file import ConfigFile
from sweeps.external.placeholders import BUILT_IN, LISTS, NEWEST, placeholders_in
from sweeps.external.spec.trainer_spec import TrainerSpec
from sweeps.space.parameter import Parameter


def problems_of_use(spec: TrainerSpec, template: ConfigFile | None, parameters: Mapping[str, Parameter]) -> list[str]:
    """What is wrong with how the parts refer to each other."""
    file, problems = spec.file, []
    known = [*BUILT_IN, *file.params]
    for where, value in (
        ("cwd", file.cwd),
        ("set", file.set),
        ("env", file.env),
        ("metrics", [entry.where for entry in file.metrics if entry.kind != "stdout"]),
        ("resume", [] if isinstance(file.resume, str) else file.resume.args),
    ):
        for name in placeholders_in(value):
            if name not in known and not name.startswith(NEWEST):
                problems.append(f"{where}: unknown placeholder {{{name}}}; {meant(name, known)}")
    for item in file.command:
        for name in placeholders_in(item):
            if name in LISTS and item != f"{{{name}}}":
                problems.append(f"command: {{{name}}} stands for several arguments, and must be an item of its own")
            elif name not in known and name not in LISTS:
                problems.append(f"command: unknown placeholder {{{name}}}; {meant(name, [*known, *LISTS])}")
    in_command = set(placeholders_in(file.command)) | set(placeholders_in(file.env)) | set(placeholders_in(file.set))
    if file.config is None:
        if "config" in in_command:
            problems.append("{config} needs config, with the template that each trial gets a copy of")
        if file.set and not {"args", "overrides"} & in_command:
            problems.append("set needs config, or {args} or {overrides} in the command")
        if not {"args", "overrides"} & in_command:
            lost = [name for name in file.params if name not in in_command]
            problems += [
                f"params: {name} reaches the program nowhere; put {{{name}}} into the command, or give config"
                for name in lost
            ]
    elif template is not None:
        problems += _problems_of_keys(spec, template, parameters)
        write = file.config.write
        if write is not None and Path(write).suffix.lower() != spec.suffix:
            problems.append(f"config: write {write!r} is another format than the template, {spec.suffix}")
        if write is not None and (Path(write).is_absolute() or ".." in Path(write).parts):
            problems.append(f"config: write {write!r} must lie in the trial's folder")
    if file.seed_first and file.command[0] != "{python}":
        problems.append("seed_first needs a command that begins with {python}")
    for name, parameter in parameters.items():
        entry = file.params[name]
        if entry.limits is None or parameter.min is None or parameter.max is None:
            continue
        if not entry.limits[0] <= parameter.min < parameter.max <= entry.limits[1]:
            problems.append(f"params: {name}: limits {list(entry.limits)} do not hold min and max")
    return problems


def _problems_of_keys(spec: TrainerSpec, template: ConfigFile, parameters: Mapping[str, Parameter]) -> list[str]:
    problems = []
    for name, key in spec.keys.items():
        problem = template.problem(key)
        if problem:
            problems.append(f"params: {name}: {problem}")
            continue
        if name in parameters:
            try:
                template.set(key, parameters[name].default)
            except RequestError as error:
                problems.append(f"params: {name}: {error}")
    taken = {key: name for name, key in spec.keys.items()}
    for key, value in (*spec.file.set.items(), *spec.file.freeze.items()):
        if key in taken and key in spec.file.set:
            problems.append(f"set: {key} is the parameter {taken[key]} already")
        problem = None if key.startswith("+") else template.problem(key)
        if problem:
            problems.append(f"set: {problem}; write +{key} to add it")
        elif not key.startswith("+") and not list(placeholders_in(value)):
            try:
                ConfigFile(template.text(), spec.suffix, "set").set(key, value)
            except RequestError as error:
                problems.append(str(error))
    return problems
