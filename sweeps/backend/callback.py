"""Ray's callback: workers that start, crash or hang, and what ends the loop."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.tune import Callback

from sweeps.backend.loop_state import LoopState
from sweeps.backend.ray_patches import dead_servers
from sweeps.backend.session import servers_died
from sweeps.common.errors import SweepFailed
from sweeps.trials.failure import EnvironmentFailureError

FEWEST_FAILURES = 3
ERROR_LINE = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b.*")
FAILURE_HEAD = re.compile(r"^Failure # \d+ \(occurred at .*\)$", re.MULTILINE)
LONGEST_REASON = 300
ENVIRONMENT_MARK = f"{EnvironmentFailureError.__module__}.{EnvironmentFailureError.__name__}: "
OWN_MODULE = re.compile(r"^sweeps\.[\w.]+\.(?=\w)")
NODE_LOST = "its node died or cannot be reached"
NODE_LOST_SIGNS = ("node has died", "node has been marked dead", "is unavailable", "node was terminated")
MOST_NODE_LOSSES = 20  # a trial that takes its node down with it must end some day
SAME_DEATH_SECONDS = 1.0  # no worker comes up, and fails again, as fast as that


class Failure(NamedTuple):
    """Why a trial failed, and whether by disk, memory, data or node and not by itself."""

    reason: str
    environment: bool = False


class Stopped(Exception):  # noqa: N818 - no error of its own
    """Ends Ray's loop; `error` is raised to the caller where there is one."""

    def __init__(self, reason: str, error: BaseException | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.error = error


class ServersDied(BaseException):
    """Ends Ray's loop without Ray's tidying up, which follows an Exception and would wait for the servers."""


class Left(BaseException):
    """Ends Ray's loop in the same way after a Ctrl-C, with the reason: Ray is killed next, so nothing is tidied up."""


class SweepCallback(Callback):  # type: ignore[misc]
    """Watches Ray's loop: starts, crashes and hangs of workers, and everything that ends the loop.

    `on_step` is called in every step of the loop; a reason that `stop_reason` returns ends it. On a cluster a trial
    that no node has room for waits for one. Reports are the scheduler's.
    """

    def __init__(
        self,
        state: LoopState,
        *,
        on_step: Callable[[], None] = lambda: None,
        stop_reason: Callable[[], str | None] = lambda: None,
        leave: Callable[[], bool] = lambda: False,
        on_cluster: bool = False,
    ) -> None:
        self._state = state
        self._on_step = on_step
        self._stop_reason = stop_reason
        self._leave = leave
        self._on_cluster = on_cluster
        self._retried: dict[str, float] = {}
        self._handed_again: set[str] = set()
        self._hung: dict[str, float] = {}
        self._failures: Counter[str] = Counter()
        self._node_losses: Counter[str] = Counter()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker has begun with the trial."""
        trial_id = trial.config["trial_id"]
        self._state.heartbeat.started(trial_id, time.monotonic())
        if trial_id in self._handed_again:
            trial.max_failures = 0  # its retry was spent under the trial that Ray gave up

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial will be tried once more, from its checkpoint; what a signal to all processes ends is no failure."""
        with self._state.guarded():
            if not self._ending():
                self._recover(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial has failed for good; many that fail alike end the sweep."""
        with self._state.guarded():
            if not self._ending():
                self._fail(trial)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """End the loop where something asks for it; end workers that hang."""
        if dead := dead_servers():
            self._state.stopped = True
            raise ServersDied(servers_died(dead))
        reason = None
        with self._state.guarded():
            late = set(self._state.heartbeat.late(time.monotonic()))
            if late:
                self._end_hanging(trials, late)
            self._on_step()
            reason = self._stop_reason()
        if self._state.error is not None or reason is not None:
            self._state.stopped = True
            if reason is not None and self._state.error is None and not self._on_cluster and self._leave():
                raise Left(reason)
            for trial in trials:
                _kill_worker(trial)
            raise Stopped(reason or "error", self._state.error)

    def _ending(self) -> bool:
        return self._state.stopped or self._stop_reason() is not None

    def _recover(self, trial: Any) -> None:
        trial_id = trial.config["trial_id"]
        self._state.heartbeat.handed_out(trial_id, time.monotonic())
        epoch = self._state.journal.record(trial_id).epochs
        trial.config["known_epochs"] = epoch
        trial.config["attempt"] += 1
        reason, _ = self._failure(trial)
        if reason == NODE_LOST and self._node_losses[trial_id] < MOST_NODE_LOSSES:
            self._node_losses[trial_id] += 1
            trial.max_failures += 1  # no fault of the trial's
        self._state.journal.append("trial_retried", trial_id, epoch=epoch, reason=reason)
        self._retried[trial_id] = time.monotonic()

    def _fail(self, trial: Any) -> None:
        """Write the failure down, but for a worker that died between two trials: that fails the next one twice, because
        Ray counts the reset that got no answer, then the death. Without an end in the journal it is suggested again."""
        trial_id = trial.config["trial_id"]
        since_retry = time.monotonic() - self._retried.pop(trial_id, -math.inf)
        if since_retry < SAME_DEATH_SECONDS and trial_id not in self._handed_again:
            self._handed_again.add(trial_id)
            return
        reason, environment = self._failure(trial)
        self._state.end(trial_id, "failed", reason, environment=environment)
        kind = re.sub(r"\d+|0x[0-9a-f]+", "#", reason)
        self._failures[kind] += 1
        ended = [record for record in self._state.journal.records if record.status is not None]
        if self._failures[kind] >= FEWEST_FAILURES and 2 * self._failures[kind] > len(ended):
            raise SweepFailed(f"{self._failures[kind]} of {len(ended)} trials failed the same way: {reason}")

    def _end_hanging(self, trials: list[Any], late: set[str]) -> None:
        for trial in trials:
            trial_id = trial.config["trial_id"]
            if trial_id not in late:
                continue
            patience = self._state.heartbeat.patience(trial_id)
            if not _kill_worker(trial):
                if self._on_cluster:
                    self._state.heartbeat.handed_out(trial_id, time.monotonic())
                    continue
                raise SweepFailed(f"{trial_id}: its trainer did not come up within {patience:.0f} s")
            self._hung[trial_id] = patience
            self._state.heartbeat.ended(trial_id)

    def _failure(self, trial: Any) -> Failure:
        patience = self._hung.pop(trial.config["trial_id"], None)
        if patience is not None:
            return Failure(f"no sign of life for {patience:.0f} s")
        try:
            written = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
        except (OSError, TypeError):
            return Failure("the worker failed without a message")
        return failure_in(written)


def _kill_worker(trial: Any) -> bool:
    """End a trial's worker, whatever it is doing; False where it has none."""
    actor = trial.temporary_state.ray_actor
    if actor is not None:
        ray.kill(actor)
    return actor is not None


def failure_in(written: str) -> Failure:
    """The newest failure in Ray's account of a trial's failures, with the line that says most."""
    lines = [line.strip() for line in FAILURE_HEAD.split(written)[-1].splitlines() if line.strip()]
    errors = [line for line in lines if ERROR_LINE.match(line)]
    if any("running low on memory" in line for line in lines):
        return Failure("the worker was killed because memory ran out", environment=True)
    if any(sign in line for line in lines for sign in NODE_LOST_SIGNS):
        return Failure(NODE_LOST, environment=True)
    in_setup = errors and any("in its creation task" in line for line in lines)  # its error is the reason
    if not in_setup and any("actor died" in line for line in lines):
        return Failure("the worker process died")
    line = (errors or lines or ["the worker failed without a message"])[-1]
    marked = line.startswith(ENVIRONMENT_MARK)
    return Failure(OWN_MODULE.sub("", line.removeprefix(ENVIRONMENT_MARK))[:LONGEST_REASON], environment=marked)
