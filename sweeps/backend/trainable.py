"""A trial as Ray runs it: one step is one epoch, and the worker itself saves the trial's checkpoints.

Ray's checkpoints are not used. A trial whose checkpoint exists already is resumed from it, which makes a retry, a
resume, another node and a restart of the machine the same thing. The first steps then repeat the saved reports that the
driver does not know, and the newest one in any case, because the driver may have died before it wrote that down.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import ray
from ray.tune import Trainable

from sweeps.space.configuration import identity
from sweeps.storage.checkpoint import Checkpoint, UnreadableCheckpointError
from sweeps.storage.checkpoint_store import CheckpointStore, checkpoint_store_at
from sweeps.storage.dataset_cache import data_on_this_node
from sweeps.trainer import Trainer, TrialContext, load_trainer, use_threads
from sweeps.trials.failure import environment_failures
from sweeps.trials.metrics import plain_metrics, plain_report
from sweeps.trials.objective import objective_of, sign_of


class TrialTrainable(Trainable):  # type: ignore[misc]
    """Trains the trial that its config describes, for as many epochs as Ray asks for."""

    _trainer: Trainer | None
    _checkpoint_store: CheckpointStore
    _reports: list[dict[str, Any]]
    _repeated: deque[dict[str, Any]]
    _best: float | None
    _best_unsure: bool
    """Whether a worker may have died after it saved the best epoch as the last, and before it did so as the best"""
    _judged_at: int | None
    _temporary: Path | None
    """A folder of the trial where the run's folder is on another machine"""

    def setup(self, config: dict[str, Any]) -> None:
        """Start or resume the config's trial."""
        self._trainer, self._temporary = None, None
        with environment_failures():
            self._start(config)
        # What stays for good is not searched for garbage between two trials: that took a third of a second.
        gc.collect()
        gc.freeze()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start the next trial in the same process."""
        self._close()
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        with environment_failures():
            self._start(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """One more epoch, or the report of one that a checkpoint holds."""
        with environment_failures():
            return self._step()

    def _step(self) -> dict[str, Any]:
        if self._best_unsure:  # not in setup: Ray may set up a second actor that never gets to train
            self._checkpoint_store.make_last_best(str(self._about["trial_id"]))
            self._best_unsure = False
        if self._repeated:
            return self._result(self._repeated.popleft())
        assert self._trainer is not None
        started = time.perf_counter()
        try:
            report = plain_report(self._trainer.train_epoch())
        except BaseException:
            self._close()
            raise
        self._epoch += 1
        self._seconds += time.perf_counter() - started
        report["epoch"] = self._epoch
        report.setdefault("seconds", round(self._seconds, 3))
        value = _finite(report)
        if value is not None and self._epoch == self._judged_at:
            report["figures"] = plain_metrics(self._trainer.judged_figures(), "judged_figures()")
        if value is not None:
            begun = time.perf_counter()
            self._save(report, value)
            report["seconds_checkpoint"] = round(time.perf_counter() - begun, 4)
        return self._result(report)

    def cleanup(self) -> None:
        """Close the trainer and release what it holds."""
        self._close()

    def _close(self) -> None:
        trainer, self._trainer = self._trainer, None
        if trainer is not None:
            with contextlib.suppress(Exception):  # the trial's result is written already
                trainer.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def _start(self, config: Mapping[str, Any]) -> None:
        self._checkpoint_store = checkpoint_store_at(config["checkpoints"])
        self._about = {"trial_id": config["trial_id"], "identity": identity(config["params"]), "seed": config["seed"]}
        trainer_class = load_trainer(config["trainer"])
        self._sign = sign_of(trainer_class.objective_mode)
        os.environ["OMP_NUM_THREADS"] = str(config["threads"])
        use_threads(config["threads"])
        data = data_on_this_node(config["data"], trainer_class)
        self._trainer = trainer_class(config["params"], data, config["seed"])
        use_threads(config["threads"], self._trainer)
        self._judged_at = config.get("judged_at")
        self._epoch, self._seconds = 0, 0.0
        self._best, self._best_unsure, self._reports, self._repeated = None, False, [], deque()
        try:
            self._load(int(config.get("known_epochs", 0)))
            if trainer_class.start is not Trainer.start:
                self._trainer.start(self._context(config))
        except BaseException:
            self._close()
            raise

    def _context(self, config: Mapping[str, Any]) -> TrialContext:
        if config.get("folder") is None:
            self._temporary = Path(tempfile.mkdtemp(prefix=f"{config['trial_id']}-"))
        folder = self._temporary or Path(config["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        return TrialContext(
            trial_id=config["trial_id"],
            epochs=config["epochs"],
            threads=config["threads"],
            gpus=tuple(map(str, ray.get_gpu_ids())),
            gpu_share=min(1.0, float(ray.get_runtime_context().get_assigned_resources().get("GPU", 1.0))),
            folder=folder,
            attempt=config["attempt"],
        )

    def _load(self, known_epochs: int) -> None:
        trial_id = str(self._about["trial_id"])
        try:
            checkpoint = self._checkpoint_store.load_last(trial_id)
        except (FileNotFoundError, UnreadableCheckpointError):
            return
        about = checkpoint.about
        if {key: about.get(key) for key in self._about} != self._about:
            return
        assert self._trainer is not None
        self._trainer.load_state_dict(checkpoint.state)
        reports = about.get("reports") or [about["report"]]  # the newest alone, in runs of version 0.1.0
        self._reports = [dict(report) for report in cast(Sequence[Mapping[str, Any]], reports)]
        newest = self._reports[-1]
        self._repeated.extend(r for r in self._reports if int(r["epoch"]) > known_epochs or r is newest)
        self._epoch, self._seconds = int(newest["epoch"]), float(cast(float, about["seconds"]))
        self._best = cast(float, about["best"])
        self._best_unsure = self._best == objective_of(newest)

    def _save(self, report: dict[str, Any], value: float) -> None:
        assert self._trainer is not None
        improved = self._best is None or self._sign * value < self._sign * self._best
        self._best = value if improved else self._best
        self._reports.append(report)
        about = {**self._about, "best": self._best, "seconds": self._seconds, "reports": self._reports}
        self._checkpoint_store.save(
            str(self._about["trial_id"]), Checkpoint(self._trainer.state_dict(), about), best=improved
        )

    def _result(self, report: Mapping[str, Any]) -> dict[str, Any]:
        value = _finite(report)
        return {"epoch": report["epoch"], "objective": float("nan") if value is None else value, "report": [report]}


def _finite(report: Mapping[str, Any]) -> float | None:
    """The objective, unless it or the training itself is not finite."""
    return None if report.get("diverged") else objective_of(report)
