"""A running program of a trial: started as its spec says, and read epoch by epoch until it ends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path

from sweeps.common.budget import duration
from sweeps.common.folders import bytes_in, prune
from sweeps.external.command import (
    Launch,
    command_of,
    environment_of,
    missing_program,
    values_of,
    working_folder,
    write_config,
)
from sweeps.external.epochs import Epoch, closed_epochs, epoch_of
from sweeps.external.metric_log import MetricLog, MetricSource
from sweeps.external.process import TrainerProcess, described_code, last_lines
from sweeps.external.spec import TrainerSpec

QUIET_SECONDS = 3.0
"""How long a tag that belongs to a closed epoch is awaited; writers flush all scalars of a step together"""
SHORTEST_LOOK, LONGEST_LOOK = 0.05, 0.5
LOOKS_PER_SIZE = 20  # a folder's size is asked for only so often


class ProgramError(Exception):
    """The program ended, hung or logged nothing: the trial's end, with what it printed last."""


class EnoughSeen(Exception):  # noqa: N818 - no error
    """What a probe of the preflight wanted to see was logged."""


class Program:
    """Starts with its object. Output and the copy of the metrics lie in `top`, its own files in the launch's folder."""

    def __init__(
        self, spec: TrainerSpec, params: Mapping[str, object], launch: Launch, top: Path, *, resumed: bool = False
    ) -> None:
        self._spec, self._params, self._launch = spec, params, launch
        self._looks = 0
        launch.folder.mkdir(parents=True, exist_ok=True)
        missing = missing_program(spec, params, launch)
        if missing is not None:
            raise ProgramError(missing)
        write_config(spec, params, launch)
        output = top / f"output-{launch.attempt}.log"
        output.unlink(missing_ok=True)
        outputs = sorted(top.glob("output-*.log"), key=lambda path: path.stat().st_mtime_ns) if resumed else []
        values = values_of(spec, params, launch)
        sources = [MetricSource(e, launch.folder, values, [*outputs, output]) for e in spec.file.metrics]
        self.metrics = MetricLog(sources, top / "points.jsonl", resumed=resumed)
        """What the program has logged"""
        cwd = working_folder(spec, params, launch)
        cwd.mkdir(parents=True, exist_ok=True)
        self.command = command_of(spec, params, launch)
        self.process = TrainerProcess(
            self.command, environment=environment_of(spec, params, launch), cwd=cwd, output=output
        )
        self._began = time.monotonic()
        self._first = True

    def close(self, *, trained: bool) -> None:
        """Stop the program; of its files keep what the spec says. A program that has `trained` to its end may still
        write its model."""
        stop = self._spec.file.stop
        if trained:
            self.process.wait(stop.wait)
        self.process.stop(stop.signal, stop.wait)
        prune(self._launch.folder, self._spec.file.keep)

    def wait_for(self, number: int, enough: Callable[[], bool] | None = None) -> dict[str, object]:
        """The report of an epoch; ProgramError where it will not come, EnoughSeen as soon as `enough` says so."""
        timeouts = self._spec.file.timeouts
        limit = timeouts.first_epoch if self._first else timeouts.epoch
        look, quiet_since = SHORTEST_LOOK, time.monotonic()
        while True:
            code = self.process.ended()
            if self.metrics.poll(final=code is not None):
                quiet_since, look = time.monotonic(), SHORTEST_LOOK
                if enough is not None and enough():
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
                self.process.stop("SIGKILL", 0.0)
                raise ProgramError(self._silent(f"no epoch {number} within {duration(limit)} (timeouts.{which})"))
            self._check_size()
            time.sleep(look)
            look = min(look * 1.5, LONGEST_LOOK)

    def _report(self, number: int, *, patient: bool) -> dict[str, object] | None:
        """The report of a closed epoch. While patient, what is missing of it may still be written, and a source that
        stands first in the spec may still begin."""
        log, tag = self.metrics, self._spec.file.epoch.tag
        source = log.source_of(tag)
        if source is None or (patient and source is not log.sources[0] and number == 1):
            return None
        epoch = epoch_of(source.points, number, tag, self._spec.expressions, self._params)
        if epoch is None or (patient and epoch.missing and closed_epochs(source.points, tag) == number):
            return None
        return self._values(epoch, number)

    def _values(self, epoch: Epoch, number: int) -> dict[str, object]:
        report: dict[str, object] = {}
        for name, expression in self._spec.expressions.items():
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
        epochs = f"{number - 1} of {self._launch.epochs} epochs"
        return self._silent(f"the program ended ({described_code(code)}) after {epochs}")

    def _silent(self, what: str) -> str:
        """Why an epoch did not come, with what was logged and printed instead."""
        log, tag = self.metrics, self._spec.file.epoch.tag
        output = last_lines(self.process.output)
        hint = ""
        if log.source_of(tag) is None:
            tags = log.tags()
            where = ", ".join(source.described() for source in log.sources)
            near = f", but {', '.join(get_close_matches(tag, tags, n=3) or tags[:8])}" if tags else ""
            hint = f"; no {tag!r} was logged in {where}{near}"
        return f"{what}{hint}; it printed last: {output or '(nothing)'}"

    def _check_size(self) -> None:
        self._looks += 1
        if self._looks % LOOKS_PER_SIZE:
            return
        size, limit = bytes_in(self._launch.folder), self._spec.file.disk
        if size > limit:
            raise ProgramError(
                f"its folder holds {size / 1e9:.3g} GB, more than the spec's disk, {limit / 1e9:.3g} GB; "
                "let it write fewer checkpoints"
            )
