"""What a spec becomes for one trial: its config file, command and environment."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeps.common.errors import RequestError
from sweeps.external.config_file import ConfigFile
from sweeps.external.placeholders import NEWEST, as_text, filled, placeholders_in
from sweeps.external.spec import SHIPPED_FOLDER, TrainerSpec

SEEDED = Path(__file__).with_name("seeded.py")
INTERPRETER_OPTIONS_WITH_VALUE = ("-W", "-X")
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
RATE = re.compile(r"^(?:.*[_.])?(lr|learning_rate)(?:_[a-z]\w*)?$", re.IGNORECASE)
NO_RATE = re.compile(r"decay|gamma|sched|warm|min|max|step|ratio|factor", re.IGNORECASE)
FROZEN_RATE = 1e-12
USERS_PYTHONPATH = "XTTS_SWEEP_PYTHONPATH"
OURS = ("RAY_", "XTTS_SWEEP_", "TUNE_")
"""Variables of this process that a trainer has no use for"""


@dataclass(frozen=True)
class Launch:
    """Where and with what a trial's program is started."""

    folder: Path
    seed: int
    epochs: int
    data: str = ""
    threads: int = 1
    gpus: Sequence[str] = ()
    attempt: int = 1
    trial_id: str = "trial"
    resuming: bool = False
    """Whether the trainer's own resume is asked for"""
    frozen: bool = False
    """Whether the spec's `freeze` settings apply, with which nothing is learned"""


def values_of(spec: TrainerSpec, params: Mapping[str, object], launch: Launch) -> dict[str, object]:
    """The value of each placeholder."""
    config = spec.file.config
    known: dict[str, object] = {
        "python": spec.interpreter,
        "folder": str(launch.folder),
        "seed": launch.seed,
        "epochs": launch.epochs,
        "data": launch.data,
        "threads": launch.threads,
        "gpus": ",".join(launch.gpus),
        "attempt": launch.attempt,
        "trial_id": launch.trial_id,
        "spec_folder": str(spec.folder),
        "shipped": str(SHIPPED_FOLDER),
        **params,
    }
    if config is not None:
        known["config"] = str(launch.folder / (config.write or Path(config.template).name))
    return known


def write_config(spec: TrainerSpec, params: Mapping[str, object], launch: Launch) -> Path | None:
    """Write the trial's copy of the template, where the spec has one."""
    if spec.file.config is None:
        return None
    path = Path(str(values_of(spec, params, launch)["config"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(config_text(spec, params, launch), encoding="utf-8")
    return path


def config_text(spec: TrainerSpec, params: Mapping[str, object], launch: Launch) -> str:
    """The template with the trial's parameters and the spec's settings."""
    assert spec.file.config is not None
    assert spec.template_text is not None
    config = ConfigFile(spec.template_text, spec.suffix, Path(spec.file.config.template).name)
    values = values_of(spec, params, launch)
    _put(config, spec.file.set, values)
    for name, key in spec.keys.items():
        config.set(key, params[name])
    if launch.frozen:  # last: a searched learning rate is frozen, too
        _put(config, frozen_settings(spec), values)
    return config.text()


def _put(config: ConfigFile, settings: Mapping[str, object], values: Mapping[str, object]) -> None:
    for key, value in settings.items():
        if key.startswith("+"):
            config.add(key[1:], filled(value, values))
        else:
            config.set(key, filled(value, values))


def tuned_text(spec: TrainerSpec, params: Mapping[str, object]) -> str:
    """The template with nothing but the parameters set."""
    assert spec.file.config is not None
    assert spec.template_text is not None
    config = ConfigFile(spec.template_text, spec.suffix, Path(spec.file.config.template).name)
    for name, key in spec.keys.items():
        config.set(key, params[name])
    return config.text()


def frozen_settings(spec: TrainerSpec) -> dict[str, object]:
    """Settings that turn learning off: the spec's `freeze`, else the template's learning rates at almost nothing."""
    if spec.file.freeze or spec.file.config is None or spec.template_text is None:
        return dict(spec.file.freeze)
    config = ConfigFile(spec.template_text, spec.suffix, spec.name)
    taken = {*spec.keys.values(), *spec.file.set}
    keys = [key for key in config.keys() if key not in taken]  # noqa: SIM118 - no mapping
    return {key: FROZEN_RATE for key in keys if _is_rate(key, config.get(key))}


def _is_rate(key: str, value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
    return number and is_rate(key.rpartition(".")[2])


def is_rate(name: str) -> bool:
    """Whether a name means a learning rate."""
    return RATE.match(name) is not None and NO_RATE.search(name) is None


def command_of(spec: TrainerSpec, params: Mapping[str, object], launch: Launch) -> list[str]:
    """The command line."""
    values, file = values_of(spec, params, launch), spec.file
    items: list[str] = []
    for item in file.command:
        if item in ("{args}", "{overrides}"):
            items += _listed(spec, params, launch, as_args=item == "{args}")
        elif item == "{resume}":
            items += _resume(spec, values, launch)
        else:
            items.append(_path_of_the_spec(spec, as_text(filled(item, values))))
    if "{resume}" not in file.command:
        items += _resume(spec, values, launch)
    return _seeded(items, launch.seed) if file.seed_first else items


def _listed(spec: TrainerSpec, params: Mapping[str, object], launch: Launch, *, as_args: bool) -> list[str]:
    """All parameters and settings that the command does not name: `--key value` or Hydra's `key=value`."""
    values = values_of(spec, params, launch)
    named = set(placeholders_in(spec.file.command))
    pairs = {key: filled(value, values) for key, value in spec.file.set.items()}
    pairs |= {entry.key or name: params[name] for name, entry in spec.file.params.items() if name not in named}
    pairs |= frozen_settings(spec) if launch.frozen else {}
    texts = {
        key: json.dumps(value) if isinstance(value, (list, dict)) else as_text(value) for key, value in pairs.items()
    }
    if as_args:
        return [part for key, text in texts.items() for part in (key if key.startswith("-") else f"--{key}", text)]
    return [f"{key}={text}" for key, text in texts.items()]


def _resume(spec: TrainerSpec, values: Mapping[str, object], launch: Launch) -> list[str]:
    if isinstance(spec.file.resume, str) or not launch.resuming:
        return []
    found = []
    for item in spec.file.resume.args:
        newest = next((name for name in placeholders_in(item) if name.startswith(NEWEST)), None)
        if newest is not None:
            path = _newest(launch.folder, newest.removeprefix(NEWEST).strip())
            if path is None:
                return []  # nothing was saved yet: the program starts over
            item = item.replace(f"{{{newest}}}", str(path))
        found.append(as_text(filled(item, values)))
    return found


def can_resume(spec: TrainerSpec, launch: Launch) -> bool:
    """Whether the trainer's own resume has something to begin with."""
    if isinstance(spec.file.resume, str):
        return False
    patterns = [name for item in spec.file.resume.args for name in placeholders_in(item) if name.startswith(NEWEST)]
    return all(_newest(launch.folder, pattern.removeprefix(NEWEST).strip()) is not None for pattern in patterns)


def _newest(folder: Path, pattern: str) -> Path | None:
    found = [path for path in folder.glob(pattern) if path.exists()]
    return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)


def _path_of_the_spec(spec: TrainerSpec, item: str) -> str:
    """A file that lies in the spec's folder, whatever folder the program runs in."""
    if item.startswith("-") or Path(item).is_absolute():
        return item
    path = spec.folder / item
    return str(path) if path.is_file() else item


def _seeded(items: list[str], seed: int) -> list[str]:
    """[python, options, program...] with our launcher before the program."""
    at = 1
    while at < len(items) and items[at].startswith("-") and items[at] not in ("-m", "-c"):
        at += 2 if items[at] in INTERPRETER_OPTIONS_WITH_VALUE else 1
    return [*items[:at], str(SEEDED), str(seed), *items[at:]]


def working_folder(spec: TrainerSpec, params: Mapping[str, object], launch: Launch) -> Path:
    """Where the program runs: the spec's folder, or as it says."""
    if spec.file.cwd is None:
        return spec.folder
    return spec.absolute(as_text(filled(spec.file.cwd, values_of(spec, params, launch))))


def environment_of(spec: TrainerSpec, params: Mapping[str, object], launch: Launch) -> dict[str, str]:
    """This process's environment without what is the sweep's own, the thread counts, and what the spec sets."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    own = os.environ.get(USERS_PYTHONPATH)
    if own is not None:  # a worker's PYTHONPATH leads to this package, whose folders may hide the trainer's
        environment["PYTHONPATH"] = own
    if not environment.get("PYTHONPATH"):
        environment.pop("PYTHONPATH", None)
    environment |= dict.fromkeys(THREAD_VARIABLES, str(launch.threads))
    environment |= {"PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": str(launch.seed % 2**32)}
    if launch.gpus:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(launch.gpus)
    values = values_of(spec, params, launch)
    for name, value in spec.file.env.items():
        if name == "CUDA_VISIBLE_DEVICES" and value == "{gpus}" and not launch.gpus:
            continue  # an empty value hides the GPUs that a trial without a share of its own may see
        environment[name] = as_text(filled(value, values))
    return environment


def missing_program(spec: TrainerSpec, params: Mapping[str, object], launch: Launch) -> str | None:
    """What of the command cannot be found, in words, or None where it can."""
    import shutil

    items = command_of(spec, params, launch)
    cwd = working_folder(spec, params, launch)
    if "{folder}" not in (spec.file.cwd or "") and not cwd.is_dir():
        return f"cwd {cwd}: there is no such folder"
    program = items[0]
    there = (cwd / program) if "/" in program else Path(shutil.which(program) or "")
    if not (there.is_file() and os.access(there, os.X_OK)):
        hint = "; --set python=PATH names the trainer's own interpreter" if program == spec.interpreter else ""
        return f"{program}: there is no such program{hint}"
    if spec.file.command[0] == "{python}":
        script = next((item for item in spec.file.command[1:] if not item.startswith("-")), None)
        options = [item for item in spec.file.command[1:] if item in ("-m", "-c")]
        if script is not None and not options and script.endswith(".py"):
            path = Path(_path_of_the_spec(spec, as_text(filled(script, values_of(spec, params, launch)))))
            if not (cwd / path).is_file():
                return f"{script}: there is no such script in {cwd}"
    return None


def check_data(spec: TrainerSpec, data: str | None) -> None:
    """RequestError where the spec needs --data and there is none, or no such folder."""
    if data is None:
        if spec.uses("data"):
            raise RequestError(f"--data: trainer {spec.name} needs a folder or file; its spec uses {{data}}")
        return
    if not Path(data).exists():
        raise RequestError(f"--data {data}: there is no such folder")
