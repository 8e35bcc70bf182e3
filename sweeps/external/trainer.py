"""A trainer that is a program of somebody else's: an epoch is what its logs close."""

from __future__ import annotations

import contextlib
import math
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

from sweeps.common.budget import duration
from sweeps.common.errors import RequestError
from sweeps.common.folders import bytes_in, fingerprint, prune
from sweeps.external.command import (
    Launch,
    can_resume,
    check_data,
    command_of,
    config_text,
    environment_of,
    missing_program,
    tuned_text,
    values_of,
    working_folder,
    write_config,
)
from sweeps.external.epochs import Epoch, closed_epochs, epoch_of
from sweeps.external.metric_log import MetricLog, MetricSource
from sweeps.external.process import TrainerProcess, described_code, last_lines
from sweeps.external.spec import TrainerSpec, load_spec, params_of
from sweeps.trainer import PreparedData, Trainer, TrialContext

WORK = "work"
"""The folder in a trial's own that {folder} stands for"""
QUIET_SECONDS = 3.0
"""How long a tag that belongs to a closed epoch is awaited; writers flush all scalars of a step together"""
SHORTEST_LOOK, LONGEST_LOOK = 0.05, 0.5
LOOKS_PER_SIZE = 20  # a folder's size is asked for only so often


REPLAY_TOLERANCE = 1e-6
"""Relative difference up to which a replayed epoch is the same; float32 resolves 1.2e-7"""


class ProgramError(Exception):
    """The program ended, hung or logged nothing: the trial's end, with what it printed last."""


class EnoughSeen(Exception):  # noqa: N818 - no error
    """What a probe of the preflight wanted to see was logged."""


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
        self._process: TrainerProcess | None = None
        self._log: MetricLog | None = None
        self._folder: Path | None = None
        self._epoch = 0
        self._objectives: list[float] = []
        """Of the epochs that were reported"""
        self._expected: list[float] = []
        """Of the epochs that are being replayed"""
        self._difference = 0.0
        self._resumed: str | None = None
        self._command: list[str] = []
        self._looks = 0
        self.frozen = False
        """Whether learning is turned off, for the preflight"""
        self.enough: Callable[[], bool] | None = None
        """Ends a run early, for the preflight"""

    def start(self, context: TrialContext) -> None:
        """The program itself is started with the first epoch: a trial may only repeat what is known."""
        self._context = context

    def train_epoch(self) -> Mapping[str, object]:
        """Wait until the program has logged one more epoch."""
        if self._process is None:
            self._launch()
        while True:
            number = self._epoch + 1
            report = self._wait_for(number)
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
        process, self._process = self._process, None
        if process is not None:
            context = self._context
            done = context is not None and self._epoch >= context.epochs and self.spec.uses("epochs")
            if done:
                process.wait(self.spec.file.stop.wait)  # it was told how long to train, and may write its model now
            process.stop(self.spec.file.stop.signal, self.spec.file.stop.wait)
            if self._folder is not None:
                prune(self._folder, self.spec.file.keep)
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
        assert self._log is not None
        return self._log

    @property
    def has_begun(self) -> bool:
        """Whether the program was started."""
        return self._log is not None

    def launch(self, launch: Launch, top: Path, *, resumed: bool = False) -> None:
        """Start the program as `launch` says; its output and the copy of its metrics lie in `top`."""
        spec = self.spec
        launch.folder.mkdir(parents=True, exist_ok=True)
        missing = missing_program(spec, self._params, launch)
        if missing is not None:
            raise ProgramError(missing)
        self._folder = launch.folder
        write_config(spec, self._params, launch)
        output = top / f"output-{launch.attempt}.log"
        output.unlink(missing_ok=True)
        outputs = sorted(top.glob("output-*.log"), key=lambda path: path.stat().st_mtime_ns) if resumed else []
        values = values_of(spec, self._params, launch)
        sources = [MetricSource(e, launch.folder, values, [*outputs, output]) for e in spec.file.metrics]
        self._log = MetricLog(sources, top / "points.jsonl", resumed=resumed)
        cwd = working_folder(spec, self._params, launch)
        cwd.mkdir(parents=True, exist_ok=True)
        self._command = command_of(spec, self._params, launch)
        self._process = TrainerProcess(
            self._command,
            environment=environment_of(spec, self._params, launch),
            cwd=cwd,
            output=output,
        )
        self._began = time.monotonic()
        self._first = True

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
            self.launch(Launch(**{**vars_of(launch), "resuming": True}), top, resumed=True)
            return
        if known:
            self._resumed, self._expected = "replay", list(self._objectives)
        shutil.rmtree(launch.folder, ignore_errors=True)
        self.launch(launch, top)

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

    def _wait_for(self, number: int) -> dict[str, object]:
        """The report of an epoch; ProgramError where it will not come."""
        process, log = self._process, self.metrics
        assert process is not None
        timeouts = self.spec.file.timeouts
        limit = timeouts.first_epoch if self._first else timeouts.epoch
        look, quiet_since = SHORTEST_LOOK, time.monotonic()
        while True:
            code = process.ended()
            if log.poll(final=code is not None):
                quiet_since, look = time.monotonic(), SHORTEST_LOOK
                if self.enough is not None and self.enough():
                    raise EnoughSeen
            now = time.monotonic()
            report = self._report(number, patient=code is None and now - quiet_since < QUIET_SECONDS)
            if report is not None:
                self._began, self._first = time.monotonic(), False
                return report
            if code is not None:
                raise ProgramError(self._ended(code, number))
            if now - self._began > limit:
                which = "first_epoch" if self._first else "epoch"
                process.stop("SIGKILL", 0.0)
                raise ProgramError(self._silent(f"no epoch {number} within {duration(limit)} (timeouts.{which})"))
            self._check_size()
            time.sleep(look)
            look = min(look * 1.5, LONGEST_LOOK)

    def _report(self, number: int, *, patient: bool) -> dict[str, object] | None:
        """The report of a closed epoch. While patient, what is missing of it may still be written, and a source that
        stands first in the spec may still begin."""
        log, tag = self.metrics, self.spec.file.epoch.tag
        source = log.source_of(tag)
        if source is None or (patient and source is not log.sources[0] and number == 1):
            return None
        epoch = epoch_of(source.points, number, tag, self.spec.expressions, self._params)
        if epoch is None or (patient and epoch.missing and closed_epochs(source.points, tag) == number):
            return None
        return self._values(epoch, number)

    def _values(self, epoch: Epoch, number: int) -> dict[str, object]:
        report: dict[str, object] = {}
        for name, expression in self.spec.expressions.items():
            try:
                value = expression.value(epoch.values)
            except KeyError as error:
                if name == "objective":
                    tags = self.metrics.tags()
                    raise ProgramError(
                        f"epoch {number} has no value of {error.args[0]!r}, which the objective needs; logged: "
                        f"{', '.join(tags[:20])}"
                    ) from None
                continue
            report[name] = value
            if not math.isfinite(value) and "diverged" not in report:
                report["diverged"] = {"step": epoch.step or number, "term": name, "value": str(value)}
        return report

    def _ended(self, code: int, number: int) -> str:
        context = self._context
        of = f" of {context.epochs}" if context is not None else ""
        return self._silent(f"the program ended ({described_code(code)}) after {number - 1}{of} epochs")

    def _silent(self, what: str) -> str:
        """Why an epoch did not come, with what was logged and printed instead."""
        log, tag = self.metrics, self.spec.file.epoch.tag
        process = self._process
        output = last_lines(process.output) if process is not None else ""
        hint = ""
        if log.source_of(tag) is None:
            tags = log.tags()
            where = ", ".join(source.described() for source in log.sources)
            near = f", but {', '.join(get_close_matches(tag, tags, n=3) or tags[:8])}" if tags else ""
            hint = f"; no {tag!r} was logged in {where}{near}"
        return f"{what}{hint}; it printed last: {output or '(nothing)'}"

    def _check_size(self) -> None:
        self._looks += 1
        if self._looks % LOOKS_PER_SIZE or self._folder is None:
            return
        size, limit = bytes_in(self._folder), self.spec.file.disk
        if size > limit:
            raise ProgramError(
                f"its folder holds {size / 1e9:.3g} GB, more than the spec's disk, {limit / 1e9:.3g} GB; "
                "let it write fewer checkpoints"
            )

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
        """The preflight; RequestError where it refuses."""
        from sweeps.external.preflight import checked_before

        if not cls.spec.file.preflight:
            return {}
        try:
            found = checked_before(cls, data, seed, store, log=log, **options)
        except RequestError as error:  # the trials will show it, each with its reason
            log(f"preflight    warning: {error}")
            return {}
        if found is None:
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


def vars_of(launch: Launch) -> dict[str, Any]:
    """A launch's fields, to make a changed copy."""
    return {name: getattr(launch, name) for name in Launch.__dataclass_fields__}


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
