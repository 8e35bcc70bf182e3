"""The one place where a trainer plugs in: its base class, and how a trainer is found by name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

from sweeps.common.errors import RequestError, meant, nearest

NEEDED = ("train_epoch", "state_dict", "load_state_dict")
EXTERNAL = "sweeps.external.trainer"
"""What runs a spec; it stands above this module, and is imported when a spec is asked for"""
PINNED = "spec:"
"""Begins a trainer's name that is a whole spec as JSON: how it travels to workers, and stays what it was in a run"""


@dataclass(frozen=True, slots=True)
class TrialContext:
    """Where and how a trial runs, for trainers that need to know: programs of their own, schedules over all epochs."""

    trial_id: str
    epochs: int
    """The full length of the trial"""
    threads: int = 1
    gpus: Sequence[str] = ()
    """CUDA devices of this trial, as CUDA_VISIBLE_DEVICES names them"""
    gpu_share: float = 1.0
    """Share of its GPU's memory that this trial may use; below 1 where several trials share one"""
    folder: Path | None = None
    """A folder of this trial alone, for files that a person may look at; it survives a resume"""
    attempt: int = 1
    """1 at the first start, one more after each crash or resume"""


@dataclass(frozen=True)
class PreparedData:
    """What a trainer opens (`data`, a handle), what is known of it, and the same as lines for people."""

    data: str
    summary: Mapping[str, Any]
    text: Sequence[str] = field(default_factory=tuple)

    def lines(self) -> Sequence[str]:
        """What the command prints before it starts."""
        return self.text


class Trainer:
    """Trains one configuration, epoch by epoch. Derive from it, or give a class the three methods that raise here.

    Everything else has a default. The objective must not contain a searched weight: it is what configs are ranked by.
    """

    objective_mode: ClassVar[Literal["min", "max"]] = "min"
    """Whether a lower or a higher objective is better"""

    def __init__(self, params: Mapping[str, object], data: str, seed: int) -> None:
        """`params` are all parameters of the config, `data` the handle that `prepare` returned."""

    def start(self, context: TrialContext) -> None:
        """Called once before the first epoch, after a checkpoint (if there is one) was loaded."""

    def train_epoch(self) -> Mapping[str, object]:
        """Train one more epoch; metrics hold `objective`, and `diverged` (step, term, value) if it is not finite."""
        raise TypeError(f"{type(self).__name__} has no train_epoch()")

    def state_dict(self) -> dict[str, object]:
        """Nested dicts and lists of tensors, arrays, numbers, strings and None: all that an exact resume needs."""
        raise TypeError(f"{type(self).__name__} has no state_dict()")

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue from what state_dict returned."""
        raise TypeError(f"{type(self).__name__} has no load_state_dict()")

    def close(self) -> None:
        """Release what the trial holds (processes, files); called when it ends, also after an error."""

    def set_threads(self, threads: int) -> None:
        """Compute with so many threads; torch's own count is set already."""

    def judged_figures(self) -> Mapping[str, Mapping[str, object]]:
        """Secondary metrics of a confirmation run after its last epoch: by name a mapping with `mean` and `label`."""
        return {}

    def export_best(self, folder: Path) -> None:
        """Write the trained model into best/."""

    def export_compared(self, folder: Path, who: str) -> None:
        """Add to best/ what `who` ("default" or "best") has to compare with."""

    def updates_per_second(self, seconds: float) -> float | None:
        """Train for about so long on throw-away weights; None where the number of parallel trials is not measured."""
        return None

    @classmethod
    def default_params(cls) -> Mapping[str, object] | None:
        """Every parameter with its default; None where any name is taken."""
        return None

    @classmethod
    def configured_params(cls, settings: Mapping[str, object]) -> Mapping[str, object]:
        """The parameters that the user's own config, named in `settings` (--set), holds: defaults, and trial 1's."""
        return {}

    @classmethod
    def default_space(cls, without: Sequence[str] = ()) -> Mapping[str, object] | None:
        """The search space where no --space is given, as a space file holds it; None where there is none."""
        return None

    @classmethod
    def own_limits(cls) -> Mapping[str, Mapping[str, object]] | None:
        """The safe ranges of its parameters, as limits.yaml holds them; None where that file applies."""
        return None

    @classmethod
    def check_before_sweep(
        cls, data: str, seed: int, store: Path, log: Callable[[str], None], **options: Any
    ) -> Mapping[str, Any]:
        """Try out what a sweep relies on; RequestError where it would be a lie. `store` keeps what was found.

        Options: threads, gpus, `start`, without which nothing is run, `remote`, where trials run on a cluster, and
        `fixed` parameters. What is returned is added to data_summary.
        """
        return {}

    @classmethod
    def drop_files(cls, folder: Path) -> None:
        """Remove what is large in the folder of a trial that will not be exported any more."""

    @classmethod
    def notes_on(
        cls, data_summary: Mapping[str, object], reports: Mapping[str, Sequence[Mapping[str, Any]]]
    ) -> Sequence[str]:
        """Lines for the end of a sweep, from its data_summary and the epoch reports of each trial."""
        return ()

    @classmethod
    def longest_silence(cls, epochs: int) -> float | None:
        """Seconds after which a trial that reports nothing has hung; None where the sweep's own rule applies."""
        return None

    @classmethod
    def check_params(cls, params: Mapping[str, object]) -> None:
        """Raise RequestError (or the package's own error for people) where a value cannot be right."""

    @classmethod
    def prepare(cls, data: str | None, val_data: str | None, **options: Any) -> Any:
        """Make --data ready for all trials. Options: accept_unusable, progress(done, total, what)."""
        return PreparedData(data or "", {"data": data or ""})

    @classmethod
    def reopen(cls, data: str, summary: Mapping[str, Any], **options: Any) -> tuple[str, str]:
        """The handle `data` of a run that is resumed, and in one line how the data has changed since; empty if not.

        `summary` is that of `prepare`; options: progress(done, total, what).
        """
        return data, ""

    @classmethod
    def confirmation_params(cls) -> Mapping[str, object]:
        """What a confirmation run adds to its config, for instance the split to evaluate on."""
        return {}

    @classmethod
    def export_keys(cls) -> Mapping[str, str]:
        """The dotted key of each parameter in the trainer's own config file, for `export --to template`."""
        return {}

    @classmethod
    def export_template(cls) -> tuple[str, str] | None:
        """The name and text of the config that `export --to template` fills in where no --template is given."""
        return None

    @classmethod
    def rivals(cls) -> Mapping[str, Mapping[str, object]]:
        """Baselines that need no sweep, by name: what each adds to the default's config."""
        return {}

    @classmethod
    def checkpoint_bytes(cls, params: Mapping[str, object]) -> int | None:
        """The size of a checkpoint; None where it is not known."""
        return None

    @classmethod
    def data_folder(cls, data: str) -> Path | None:
        """The folder behind the handle `data`, which every node of a cluster needs; None where there is none."""
        return Path(data) if data and Path(data).is_dir() else None

    @classmethod
    def data_in(cls, data: str, folder: Path) -> str:
        """The handle for a copy of the data's folder."""
        return str(folder)


def is_spec(trainer: str) -> bool:
    """Whether a trainer's name means the spec of an external one: pinned, a YAML file or the name of a shipped spec."""
    return trainer.startswith(PINNED) or trainer.lower().endswith((".yaml", ".yml")) or ":" not in trainer


def load_trainer(spec: str) -> type[Trainer]:
    """The class that `MODULE:CLASS` or a spec names; RequestError where there is none.

    A class that does not derive from Trainer gets its defaults here, so that nothing else has to ask what it has.
    """
    if is_spec(spec):
        return cast(type[Trainer], importlib.import_module(EXTERNAL).trainer_of(spec))
    module_name, separator, class_name = spec.partition(":")
    if not separator or not module_name or not class_name:
        raise RequestError(f"trainer {spec!r}: expected MODULE:CLASS, for instance xtts.trainer:XttsTrainer")
    _search_current_folder_too()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise RequestError(f"trainer {spec!r}: {error}; is it installed, in this folder or on PYTHONPATH?") from error
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        raise RequestError(f"trainer {spec!r}: module {module_name} cannot be imported ({what})") from error
    found = getattr(module, class_name, None)
    if found is None:
        hint = nearest(class_name, vars(module))
        raise RequestError(f"trainer {spec!r}: module {module_name} has no {class_name!r}{hint}")
    missing = [name for name in NEEDED if getattr(found, name, None) in (None, getattr(Trainer, name))]
    if missing or not isinstance(found, type):
        raise RequestError(
            f"trainer {spec!r}: has no {', '.join(missing) or 'class'}(); sweeps/trainer.py shows what it needs"
        )
    if issubclass(found, Trainer):
        return found
    return cast(type[Trainer], type(found.__name__, (found, Trainer), {"__module__": found.__module__}))


def _search_current_folder_too() -> None:
    """Find modules in the current folder as `python -m` does, but after all that is installed: the command's own first
    folder is the one that it is installed in."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)


def pinned(trainer: str, settings: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """A trainer with its settings (--set): for a spec the whole spec, changed as they say, and the settings that are
    its parameters."""
    if not is_spec(trainer):
        return trainer, dict(settings)
    found = importlib.import_module(EXTERNAL).pinned_trainer(trainer, settings)
    return cast("tuple[str, dict[str, object]]", found)


def use_threads(threads: int, trainer: Trainer | None = None) -> None:
    """Compute with so many threads in this process."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
    if trainer is not None:
        trainer.set_threads(threads)


def unknown_params(names: Mapping[str, str], known: Mapping[str, object]) -> list[str]:
    """One line for each name (with where it was given) that the trainer does not know."""
    return [
        f"{where}: the trainer knows no parameter {name!r}; {meant(name, sorted(known))}"
        for name, where in names.items()
        if name not in known
    ]
