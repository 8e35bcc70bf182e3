"""A short run of a trainer's program for the preflight: its points, the reports of its epochs, its time and disk."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from sweeps.common.folders import bytes_in
from sweeps.external.program import EnoughSeen, ProgramError
from sweeps.external.readers import Point
from sweeps.external.trainer import ExternalTrainer
from sweeps.trainer import TrialContext

EPOCHS = 2
"""Epochs that the program is asked for, so that all probes have the same schedule"""


@dataclass
class Probe:
    """What a run logged, by tag in order, and the reports of its closed epochs."""

    series: Mapping[str, Sequence[float]] = field(default_factory=dict)
    reports: list[Mapping[str, object]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Of each epoch; the first holds the program's start"""
    disk_bytes: int = 0
    source: str = ""
    failed: str = ""
    """Why it ended early"""

    def objective(self, epoch: int = 1) -> float | None:
        """The objective of an epoch, or None where the run was stopped before."""
        if len(self.reports) < epoch:
            return None
        return float(cast(float, self.reports[epoch - 1]["objective"]))


@dataclass(frozen=True)
class Prober:
    """Starts probes of one trainer, one after the other, each in a temporary folder."""

    trainer: type[ExternalTrainer]
    data: str
    threads: int
    gpus: Sequence[str] = ()

    def run(
        self,
        params: Mapping[str, object],
        seed: int,
        *,
        epochs: int = 1,
        frozen: bool = False,
        enough: Callable[[Mapping[str, Sequence[float]]], bool] | None = None,
        most_seconds: float | None = None,
    ) -> Probe:
        """Train until `epochs` are closed or `enough` says that what was logged will do.

        After `most_seconds` no further epoch is begun. Raises ProgramError where the program fails in its first epoch.
        """
        top = Path(tempfile.mkdtemp(prefix="preflight-"))
        trainer = self.trainer({**self.trainer.default_params(), **params}, self.data, seed)
        trainer.start(TrialContext("preflight", EPOCHS, threads=self.threads, gpus=self.gpus, folder=top))
        trainer.frozen = frozen
        trainer.enough = None if enough is None else lambda: enough(series_of(trainer.metrics.points()))
        probe = Probe()
        started = time.monotonic()
        try:
            for _ in range(epochs):
                begun = time.monotonic()
                if most_seconds is not None and probe.reports and begun - started > most_seconds:
                    break
                probe.reports.append(trainer.train_epoch())
                probe.seconds.append(time.monotonic() - begun)
        except EnoughSeen:
            pass
        except ProgramError as error:
            if not probe.reports:
                raise
            probe.failed = str(error)
        finally:
            if trainer.has_begun:
                probe.series = series_of(trainer.metrics.points())
                probe.source = trainer.metrics.described(trainer.spec.file.epoch.tag)
                probe.disk_bytes = bytes_in(top)
            trainer.close()
            shutil.rmtree(top, ignore_errors=True)
        return probe


def series_of(points: Sequence[Point]) -> dict[str, list[float]]:
    """The values of each tag in the order in which they were logged."""
    found: dict[str, list[float]] = {}
    for point in points:
        found.setdefault(point.tag, []).append(point.value)
    return found
