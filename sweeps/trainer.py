"""The one place where somebody's own trainer plugs in: a protocol, and how a trainer is found by name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Protocol, cast

from sweeps.common.errors import RequestError


class Trainer(Protocol):
    """Trains one configuration, epoch by epoch.

    Optional, looked up by name: `default_params()` (classmethod; known parameter names with defaults),
    `confirmation_params()` (classmethod; what the judged runs of a confirmation get beside their config, for instance
    the split to evaluate on), `rivals()` (classmethod; methods that need no sweep, by name: what each adds to the
    default's config), `judged_figures()` (taken once of a judged run after its last epoch: by name a mapping with
    `mean`, lower is better, `label` and what else belongs to it), `checkpoint_bytes(params)` (classmethod; the size of
    a checkpoint), `worker_modules` (names of modules that a worker imports before its first trial),
    `export_best(folder)`, `export_beside(folder, who)` (adds to that folder what `who`, "default" or "best", has to
    compare with),
    `set_threads(n)`, `updates_per_second(seconds)` (trains for about so long on what is thrown away; to choose how many
    trials run at once), and for a cluster, where `data` is no plain folder, `data_folder(data)` and
    `data_in(data, folder)` (classmethods; the folder that all nodes need, and the handle for a copy of it).
    """

    def __init__(self, params: Mapping[str, object], data: str, seed: int) -> None: ...

    def train_epoch(self) -> Mapping[str, object]:
        """Train one more epoch; metrics hold `objective`, and `diverged` (step, term, value) if it is not finite."""
        ...

    def state_dict(self) -> dict[str, object]:
        """Nested dicts and lists of tensors, arrays, numbers, words and None: all that going on bit for bit needs."""
        ...

    def load_state_dict(self, state: dict[str, object]) -> None: ...


def load_trainer(spec: str) -> type[Trainer]:
    """The class that `MODULE:CLASS` names; RequestError where there is none."""
    module_name, separator, class_name = spec.partition(":")
    if not separator or not module_name or not class_name:
        raise RequestError(f"trainer {spec!r}: expected MODULE:CLASS, for instance xtts.trainer:XttsTrainer")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise RequestError(f"trainer {spec!r}: {error}; is it installed, or on PYTHONPATH?") from error
    except (Exception, SystemExit) as error:  # somebody's own module may raise anything
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        raise RequestError(f"trainer {spec!r}: module {module_name} cannot be imported ({what})") from error
    found = getattr(module, class_name, None)
    if found is None:
        close = get_close_matches(class_name, vars(module), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise RequestError(f"trainer {spec!r}: module {module_name} has no {class_name!r}{hint}")
    needed = ("train_epoch", "state_dict", "load_state_dict")
    missing = [name for name in needed if not callable(getattr(found, name, None))]
    if missing:
        raise RequestError(f"trainer {spec!r}: has no {', '.join(missing)}(); sweeps/trainer.py shows what it needs")
    return cast(type[Trainer], found)


def use_threads(threads: int, trainer: Trainer | None = None) -> None:
    """Compute with so many threads in this process."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
    set_threads = getattr(trainer, "set_threads", None)
    if set_threads is not None:
        set_threads(threads)


def known_params(trainer: type[Trainer]) -> Mapping[str, object] | None:
    """The trainer's parameter names with their defaults, or None where it does not say."""
    default_params = getattr(trainer, "default_params", None)
    return None if default_params is None else cast(Mapping[str, object], default_params())


def unknown_params(names: Mapping[str, str], known: Mapping[str, object]) -> list[str]:
    """One line for each name (with where it was given) that the trainer does not know."""
    problems = []
    for name, where in names.items():
        if name in known:
            continue
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"
        problems.append(f"{where}: the trainer knows no parameter {name!r}; {hint}")
    return problems


def worker_modules(trainer: type[Trainer]) -> Sequence[str]:
    """What a worker of this trainer's imports while nobody has a trial for it."""
    return [trainer.__module__, *getattr(trainer, "worker_modules", ())]


def confirmation_params(trainer: type[Trainer]) -> Mapping[str, object]:
    """What the trainer wants in the judged runs of a confirmation beside their config."""
    found = getattr(trainer, "confirmation_params", None)
    return {} if found is None else dict(found())


def rivals(trainer: type[Trainer]) -> Mapping[str, Mapping[str, object]]:
    """The trainer's methods that need no sweep, by name: what each adds to the default's config."""
    found = getattr(trainer, "rivals", None)
    return {} if found is None else {str(name): dict(added) for name, added in found().items()}
