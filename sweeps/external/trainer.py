"""A trainer that is an external program: an epoch ends where its logs say so."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

from messages import text
from sweeps.common.errors import RequestError
from sweeps.common.folders import fingerprint, prune
from sweeps.external.command import (
    Launch,
    can_resume,
    check_data,
    config_text,
    missing_program,
    tuned_text,
)
from sweeps.external.metric_log import MetricLog
from sweeps.external.program import Program
from sweeps.external.spec import TrainerSpec, load_spec, params_of
from sweeps.trainer import PreparedData, Trainer, TrialContext

WORK = "work"
"""The folder in a trial's own that {folder} stands for"""
REPLAY_TOLERANCE = 1e-6
"""Relative difference up to which a replayed epoch is the same; float32 resolves 1.2e-7"""


class ExternalTrainer(Trainer):
    """Runs the program of `spec`; `trainer_of` makes the subclass for a spec."""

    spec: ClassVar[TrainerSpec]
    trial_bytes: ClassVar[int | None] = None
    """How large a trial's folder became in the preflight"""

    def __init__(self, params: Mapping[str, object], data: str, seed: int) -> None:
        known = {name: parameter.default for name, parameter in self.spec.parameters.items()}
        self._params: dict[str, object] = {**known, **{name: params[name] for name in known if name in params}}
        self._data, self._seed = data, seed
        self._context: TrialContext | None = None
        self._temporary: Path | None = None
        self._program: Program | None = None
        self._folder: Path | None = None
        self._epoch = 0
        self._objectives: list[float] = []
        """Of the epochs that were reported"""
        self._expected: list[float] = []
        """Of the epochs that are being replayed"""
        self._difference = 0.0
        self._resumed: str | None = None
        self._command: list[str] = []
        self.frozen = False
        """Whether learning is turned off, for the preflight"""
        self.enough: Callable[[], bool] | None = None
        """Ends a run early, for the preflight"""

    def start(self, context: TrialContext) -> None:
        """The program itself is started with the first epoch: a trial may only repeat what is known."""
        self._context = context

    def train_epoch(self) -> Mapping[str, object]:
        """Wait until the program has logged one more epoch."""
        if self._program is None:
            self._launch()
        while True:
            number = self._epoch + 1
            report = cast(Program, self._program).wait_for(number, self.enough)
            self._epoch = number
            objective = float(cast(float, report["objective"]))
            if number <= len(self._expected):
                self._compare(number, objective)
                continue
            self._objectives.append(objective)
            if self._resumed is not None:
                report |= self._how_resumed()
            return report

    def state_dict(self) -> dict[str, object]:
        """The epochs that are known: a replay must give them again."""
        folder = str(self._folder or "")
        return {"objectives": list(self._objectives), "folder": folder, "command": list(self._command)}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """The program is started again with the next epoch."""
        self._objectives = [float(value) for value in cast(Sequence[float], state["objectives"])]
        self._folder = Path(str(state["folder"])) if state.get("folder") else None
        self._command = [str(item) for item in cast(Sequence[object], state["command"])]

    def close(self) -> None:
        """Stop the program; of its files keep what the spec says."""
        program, self._program = self._program, None
        if program is not None:
            context = self._context
            trained = context is not None and self._epoch >= context.epochs and self.spec.uses("epochs")
            program.close(trained=trained)
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def export_best(self, folder: Path) -> None:
        """The template with the best values, the command that was run, and the files that the spec keeps."""
        source = self._folder
        if self.spec.file.config is not None:
            name = Path(self.spec.file.config.template).name
            (folder / name).write_text(tuned_text(self.spec, self._params), encoding="utf-8")
        (folder / "command.txt").write_text(f"{shlex.join(self._command)}\n", encoding="utf-8")
        for pattern in self.spec.file.keep if source is not None else ():
            for path in sorted(cast(Path, source).glob(pattern)):
                with contextlib.suppress(OSError):
                    shutil.copy2(path, folder / path.name)

    @property
    def metrics(self) -> MetricLog:
        """What the program has logged."""
        assert self._program is not None
        return self._program.metrics

    @property
    def has_begun(self) -> bool:
        """Whether the program was started."""
        return self._program is not None

    def _launch(self) -> None:
        context = self._context
        if context is None:
            context = self._context = TrialContext("trial", epochs=1)
        if context.folder is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="trial-"))
        top = context.folder or cast(Path, self._temporary)
        launch = Launch(
            folder=top / WORK,
            seed=self._seed,
            epochs=context.epochs,
            data=self._data,
            threads=context.threads,
            gpus=context.gpus,
            attempt=context.attempt,
            trial_id=context.trial_id,
            frozen=self.frozen,
        )
        known = len(self._objectives)
        self._epoch, self._expected, self._resumed = 0, [], None
        if known and can_resume(self.spec, launch):
            self._resumed, self._epoch = "args", known
            launch = replace(launch, resuming=True)
        else:
            if known:
                self._resumed, self._expected = "replay", list(self._objectives)
            shutil.rmtree(launch.folder, ignore_errors=True)
        self._folder = launch.folder
        self._program = Program(self.spec, self._params, launch, top, resumed=launch.resuming)
        self._command = self._program.command

    def _how_resumed(self) -> dict[str, object]:
        """What a reader of the journal should know of a trial that was interrupted."""
        if self._resumed == "replay":
            return {"resume/replayed": len(self._expected), "resume/difference": self._difference}
        exact = not isinstance(self.spec.file.resume, str) and self.spec.file.resume.exact
        return {"resume/inexact": 0 if exact else 1}

    def _compare(self, number: int, objective: float) -> None:
        expected = self._expected[number - 1]
        if objective != expected:
            self._difference = max(self._difference, abs(objective - expected) / max(abs(expected), 1e-12))

    @classmethod
    def default_params(cls) -> Mapping[str, object]:
        """The spec's parameters."""
        return {name: parameter.default for name, parameter in cls.spec.parameters.items()}

    @classmethod
    def check_params(cls, params: Mapping[str, object]) -> None:
        """A value must fit what the template holds."""
        launch = Launch(folder=Path("trial"), seed=1, epochs=1)
        given = {**cls.default_params(), **params}
        if cls.spec.file.config is not None:
            config_text(cls.spec, given, launch)
        for name, parameter in cls.spec.parameters.items():
            if parameter.whole and not float(cast(float, given[name])).is_integer():
                raise RequestError(f"{name} {given[name]!r}: trainer {cls.spec.name} takes a whole number")

    @classmethod
    def default_space(cls, without: Sequence[str] = ()) -> Mapping[str, object] | None:
        """What is searched where no --space is given."""
        parameters = {}
        for name, parameter in cls.spec.parameters.items():
            if name not in without:
                words = parameter.model_dump(exclude={"name"}, exclude_none=True, exclude_defaults=True)
                if parameter.distribution == "constant":
                    words = {"value": parameter.default}
                elif "values" in words:
                    words["values"] = list(words["values"])
                parameters[name] = words
        return {"name": cls.spec.name, "description": cls.spec.file.description, "parameters": parameters}

    @classmethod
    def own_limits(cls) -> Mapping[str, Mapping[str, object]] | None:
        """The safe ranges of the spec."""
        return cast("Mapping[str, Mapping[str, object]]", cls.spec.limits.as_dict())

    @classmethod
    def prepare(cls, data: str | None, val_data: str | None, **options: Any) -> PreparedData:
        """The data is the program's own business; here it only has to exist, as does the program."""
        if val_data is not None:
            raise RequestError(f"--val-data: trainer {cls.spec.name} reads its data itself; its config names them")
        check_data(cls.spec, data)
        path = str(Path(data).resolve()) if data is not None else ""
        launch = Launch(folder=Path(tempfile.gettempdir()) / "trial", seed=1, epochs=1, data=path)
        missing = missing_program(cls.spec, cls.default_params(), launch)
        if missing is not None:
            raise RequestError(f"trainer {cls.spec.name}: {missing}")
        summary = {"data": path, "source": path, "fingerprint": fingerprint(Path(path)) if path else ""}
        return PreparedData(path, summary, [f"trainer      {cls.spec.name}: {' '.join(cls.spec.file.command)}"])

    @classmethod
    def export_keys(cls) -> Mapping[str, str]:
        """The template's dotted keys."""
        return cls.spec.keys

    @classmethod
    def check_before_sweep(
        cls, data: str, seed: int, store: Path, log: Callable[[str], None], **options: Any
    ) -> Mapping[str, Any]:
        """The preflight; RequestError where it refuses. A cluster's nodes may differ from this machine: none there."""
        from sweeps.external.preflight import checked_before

        if not cls.spec.file.preflight:
            return {}
        remote, start = options.pop("remote", False), options.pop("start")
        try:
            found = checked_before(cls, data, seed, store, log=log, start=start and not remote, **options)
        except RequestError as error:  # the trials will show it, each with its reason
            log(f"preflight    warning: {error}")
            return {}
        if found is None:
            if remote:
                log(text("preflight.remote"))
            return {}
        cls.trial_bytes = found.disk_bytes
        if found.refusals:
            raise RequestError(
                f"preflight of {cls.spec.name}: {'; '.join(found.refusals)}; --set preflight=false runs it all the same"
            )
        for warning in found.warnings:
            log(f"preflight    warning: {warning}")
        return {"preflight": found.as_dict()}

    @classmethod
    def export_template(cls) -> tuple[str, str] | None:
        """The template as it was when the sweep started."""
        if cls.spec.file.config is None or cls.spec.template_text is None:
            return None
        return Path(cls.spec.file.config.template).name, cls.spec.template_text

    @classmethod
    def drop_files(cls, folder: Path) -> None:
        """Of the kept models only those of the best few trials stay."""
        prune(folder / WORK, [])

    @classmethod
    def notes_on(
        cls, data_summary: Mapping[str, object], reports: Mapping[str, Sequence[Mapping[str, Any]]]
    ) -> Sequence[str]:
        """What weakens the verdict: a program that is not deterministic, a seed that does nothing, inexact resumes."""
        notes = []
        found = data_summary.get("preflight")
        if isinstance(found, Mapping) and not found.get("deterministic", True):
            notes.append(
                f"{cls.spec.name} is not deterministic: runs of one seed differ by {found.get('difference', 0.0):.2g}, "
                "so pairing by seeds removes less noise than it could"
            )
        if isinstance(found, Mapping) and not found.get("seed_acts", True):
            notes.append(f"{cls.spec.name} ignores its seed: a confirmation over seeds compares the same run twice")
        differing, inexact = [], []
        for trial_id, epochs in reports.items():
            if any(float(epoch.get("resume/difference") or 0.0) > REPLAY_TOLERANCE for epoch in epochs):
                differing.append(trial_id)
            if any(epoch.get("resume/inexact") for epoch in epochs):
                inexact.append(trial_id)
        if differing:
            notes.append(f"{', '.join(differing)}: resumed by replay, and known epochs came out differently")
        if inexact:
            notes.append(f"{', '.join(inexact)}: resumed by the trainer's own means, which are not exact")
        return notes

    @classmethod
    def longest_silence(cls, epochs: int) -> float | None:
        """A replayed trial reports nothing until it is where it was; the spec's time-outs watch it meanwhile."""
        timeouts, stop = cls.spec.file.timeouts, cls.spec.file.stop
        return timeouts.first_epoch + epochs * timeouts.epoch + stop.wait

    @classmethod
    def checkpoint_bytes(cls, params: Mapping[str, object]) -> int | None:
        """What a trial's folder took in the preflight."""
        return cls.trial_bytes


@lru_cache(maxsize=64)
def trainer_of(trainer: str) -> type[ExternalTrainer]:
    """The trainer's class for a spec's file, shipped name or pinned content."""
    return bound(load_spec(trainer))


def pinned_trainer(trainer: str, settings: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """The spec as one line with the settings that change it, and the settings that fix parameters."""
    known = params_of(trainer)
    params = {key: value for key, value in settings.items() if key in known}
    changes = {key: value for key, value in settings.items() if key not in params}
    return load_spec(trainer, changes).pinned, params


def bound(spec: TrainerSpec) -> type[ExternalTrainer]:
    """ExternalTrainer with a spec."""
    mode: Literal["min", "max"] = spec.file.mode
    members = {"spec": spec, "objective_mode": mode, "__module__": __name__, "__doc__": spec.file.description}
    return type("ExternalTrainer", (ExternalTrainer,), members)
