"""Ray's side of a trial: one step is one epoch, and the worker itself keeps the trial's checkpoints.

Ray's checkpoints are not used. A trial that starts where its folder already holds a checkpoint goes on from there,
which makes a retry, a resume and a restart of the machine one and the same thing. The first step then repeats the
report of the epoch that was saved: the driver may have died before it heard of it, and drops what it knows already.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ray.tune import Trainable

from sweeps.checkpoint import BEST, LAST, Checkpoint, UnreadableCheckpointError, load_checkpoint, save_checkpoint
from sweeps.configuration import identity
from sweeps.objective import OBJECTIVE
from sweeps.trainer import Trainer, load_trainer


class TrialTrainable(Trainable):  # type: ignore[misc]
    """Trains the trial that its config describes, for as many epochs as Ray asks for."""

    _trainer: Trainer | None
    _repeated: dict[str, Any] | None
    _best: float | None
    _judged_at: int | None

    def setup(self, config: dict[str, Any]) -> None:
        """Start, or go on with, the config's trial."""
        self._trainer = None
        self._start(config)
        # What stays for good is not searched for garbage between two trials: that took a third of a second.
        gc.collect()
        gc.freeze()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start the next trial in the same process."""
        self._trainer = None
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        self._start(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """One more epoch, or the report of the last one that a checkpoint holds."""
        if self._repeated is not None:
            report, self._repeated = self._repeated, None
            return self._result(report)
        assert self._trainer is not None
        started = time.perf_counter()
        report = dict(self._trainer.train_epoch())
        self._epoch += 1
        self._seconds += time.perf_counter() - started
        report["epoch"] = self._epoch
        report.setdefault("seconds", round(self._seconds, 3))
        value = _finite(report)
        judged_figures = getattr(self._trainer, "judged_figures", None)
        if value is not None and self._epoch == self._judged_at and judged_figures is not None:
            report["figures"] = judged_figures()
        if value is not None:
            begun = time.perf_counter()
            self._save(report, value)
            report["seconds_checkpoint"] = round(time.perf_counter() - begun, 4)
        return self._result(report)

    def cleanup(self) -> None:
        """Let go of the trainer and what it holds."""
        self._trainer = None

    def _start(self, config: Mapping[str, Any]) -> None:
        self._folder = Path(config["checkpoints"]) / config["trial_id"]
        self._about = {"trial_id": config["trial_id"], "identity": identity(config["params"]), "seed": config["seed"]}
        for half_written in self._folder.glob(".*.tmp"):  # by a worker that was killed
            half_written.unlink(missing_ok=True)
        trainer_class = load_trainer(config["trainer"])
        os.environ["OMP_NUM_THREADS"] = str(config["threads"])
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.set_num_threads(config["threads"])
        self._trainer = trainer_class(config["params"], config["data"], config["seed"])
        set_threads = getattr(self._trainer, "set_threads", None)
        if set_threads is not None:
            set_threads(config["threads"])
        self._judged_at = config.get("judged_at")
        self._epoch, self._seconds = 0, 0.0
        self._best, self._repeated = None, None
        self._go_on()

    def _go_on(self) -> None:
        try:
            checkpoint = load_checkpoint(self._folder / LAST)
        except (FileNotFoundError, UnreadableCheckpointError):
            return
        about = checkpoint.about
        if {key: about.get(key) for key in self._about} != self._about:
            return
        assert self._trainer is not None
        self._trainer.load_state_dict(checkpoint.state)
        self._repeated = dict(cast(Mapping[str, Any], about["report"]))
        self._epoch, self._seconds = int(self._repeated["epoch"]), float(cast(float, about["seconds"]))
        self._best = cast(float, about["best"])

    def _save(self, report: Mapping[str, Any], value: float) -> None:
        assert self._trainer is not None
        improved = self._best is None or OBJECTIVE.better(value, self._best)
        self._best = value if improved else self._best
        about = {**self._about, "best": self._best, "seconds": self._seconds, "report": report}
        save_checkpoint(self._folder / LAST, Checkpoint(self._trainer.state_dict(), about))
        if improved:
            _link(self._folder / LAST, self._folder / BEST)

    def _result(self, report: Mapping[str, Any]) -> dict[str, Any]:
        value = _finite(report)
        return {"epoch": report["epoch"], "objective": float("nan") if value is None else value, "report": [report]}


def _finite(report: Mapping[str, Any]) -> float | None:
    """The objective, unless it or the training itself is not finite."""
    return None if report.get("diverged") else OBJECTIVE.value(report)


def _link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, which is only ever replaced, never written to."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    temporary.replace(target)
