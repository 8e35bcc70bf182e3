"""Ray's side of the record: every result goes to the journal first, then to whoever shows or files it."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import ray
from ray.tune import Callback

from sweeps.backend.heartbeat import Heartbeat
from sweeps.backend.ray_patches import dead_servers
from sweeps.backend.scheduler import RungScheduler
from sweeps.backend.session import servers_died
from sweeps.common.errors import SweepFailed
from sweeps.search.options import SearchOptions
from sweeps.trials.journal import Journal
from sweeps.trials.record import Event, TrialRecord

FEWEST_FAILURES = 3
ERROR_LINE = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b.*")
FAILURE_HEAD = re.compile(r"^Failure # \d+ \(occurred at .*\)$", re.MULTILINE)
LONGEST_REASON = 300
OWN_MODULE = re.compile(r"^sweeps\.[\w.]+\.(?=\w)")
NODE_LOST = "its node died or cannot be reached"
NODE_LOST_SIGNS = ("node has died", "node has been marked dead", "is unavailable", "node was terminated")
MOST_NODE_LOSSES = 20  # a trial that takes its node down with it must end some day
SAME_DEATH_SECONDS = 1.0  # no worker comes up, and fails again, as fast as that


class Stopped(Exception):  # noqa: N818 - no error of its own
    """Ends Ray's loop; `error` is raised to the caller where there is one."""

    def __init__(self, reason: str, error: BaseException | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.error = error


class ServersDied(BaseException):
    """Ends Ray's loop without Ray's tidying up, which follows an Exception and would wait for the servers."""


def _kept(method: Callable[..., None]) -> Callable[..., None]:
    """Keep an error until Ray's step ends, because inside of it Ray would bury it in a TuneError.

    Once the loop was told to stop, nothing is heard: workers that end now do not fail.
    """

    @wraps(method)
    def wrapper(self: SweepCallback, **info: Any) -> None:
        if self._stopped:
            return
        try:
            method(self, **info)
        except BaseException as error:
            self.fail(error)

    return wrapper


class SweepCallback(Callback):  # type: ignore[misc]
    """Writes what Ray reports into the journal; `changed` hears of it, `ended` of each trial's end, `again` of a trial
    that is to be handed out once more.

    `wants_stop` is asked in every step of Ray's loop, and a reason that it gives ends the loop. On a cluster
    a trial that no node has room for waits for one, and reports say where they come from.
    """

    def __init__(
        self,
        journal: Journal,
        scheduler: RungScheduler,
        heartbeat: Heartbeat,
        *,
        wants_stop: Callable[[], str | None],
        changed: Callable[[], None],
        ended: Callable[[TrialRecord], None],
        again: Callable[[TrialRecord], None],
        on_cluster: bool = False,
        options: SearchOptions | None = None,
    ) -> None:
        self._journal = journal
        self._scheduler = scheduler
        self._watchdog = heartbeat
        self._wants_stop = wants_stop
        self._changed = changed
        self._ended = ended
        self._again = again
        self._on_cluster = on_cluster
        self._options = options or SearchOptions()
        self._retried: dict[str, float] = {}
        self._handed_again: set[str] = set()
        self._error: BaseException | None = None
        self._stopped = False
        self._hung: dict[str, float] = {}
        self._failures: Counter[str] = Counter()
        self._node_losses: Counter[str] = Counter()

    def fail(self, error: BaseException) -> None:
        """Keep the first error; it ends Ray's loop at the end of this step."""
        self._error = self._error or error

    def expect(self, trial_id: str) -> None:
        """The trial was handed out; from now on it should show signs of life."""
        self._watchdog.handed_out(trial_id, time.monotonic())

    @_kept
    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker has begun with the trial."""
        trial_id = trial.config["trial_id"]
        self._watchdog.started(trial_id, time.monotonic())
        if trial_id in self._handed_again:
            trial.max_failures = 0  # its retry was spent under the trial that Ray gave up

    @_kept
    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """One more epoch, and what the scheduler decided on it; an epoch that is known already is not counted again."""
        trial_id = trial.config["trial_id"]
        (report,) = result.pop("report")
        self._watchdog.reported(trial_id, time.monotonic(), float(result.get("time_this_iter_s", 0.0)))
        if report["epoch"] > self._journal.record(trial_id).epochs:
            node = {"node": result["node_ip"]} if self._on_cluster else {}
            self._journal.append("report", trial_id, **report, **node, **self._options.marks(report))
        decision = self._scheduler.decisions.pop(trial_id, None)
        if decision is not None:
            self._journal.append(
                "rung",
                trial_id,
                epoch=decision.epoch,
                value=decision.value,
                cutoff=decision.cutoff,
                decision="stop" if decision.stop else "go",
            )
        ending = self._scheduler.endings.pop(trial_id, None)
        if ending is not None:
            reason = divergence(report) if ending.status == "diverged" else ending.reason
            missed = self._options.missed(self._journal.record(trial_id))
            reason = "; ".join(part for part in (reason, missed) if part)
            self._end(trial_id, ending.status, reason, ending.rung)
        self._changed()

    @_kept
    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial will be tried once more, from its checkpoint; what a signal to all processes ends is no failure."""
        if self._wants_stop() is not None:
            return
        trial_id = trial.config["trial_id"]
        self.expect(trial_id)
        epoch = self._journal.record(trial_id).epochs
        trial.config["known_epochs"] = epoch
        trial.config["attempt"] += 1
        reason = self._reason(trial)
        if reason == NODE_LOST and self._node_losses[trial_id] < MOST_NODE_LOSSES:
            self._node_losses[trial_id] += 1
            trial.max_failures += 1  # no fault of the trial's
        self._journal.append("trial_retried", trial_id, epoch=epoch, reason=reason)
        self._retried[trial_id] = time.monotonic()
        self._changed()

    @_kept
    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial has failed for good; many that fail alike end the sweep.

        A worker that dies between two trials fails the next one twice: Ray counts the reset that got no answer, then
        the death. The trial that Ray gives up then is handed out again, as another one to Ray.
        """
        if self._wants_stop() is not None:
            return
        trial_id = trial.config["trial_id"]
        since_retry = time.monotonic() - self._retried.pop(trial_id, -math.inf)
        if since_retry < SAME_DEATH_SECONDS and trial_id not in self._handed_again:
            self._handed_again.add(trial_id)
            self._again(self._journal.record(trial_id))
            return
        reason = self._reason(trial)
        self._end(trial_id, "failed", reason, None)
        self._changed()
        kind = re.sub(r"\d+|0x[0-9a-f]+", "#", reason)
        self._failures[kind] += 1
        ended = [record for record in self._journal.records if record.status is not None]
        if self._failures[kind] >= FEWEST_FAILURES and 2 * self._failures[kind] > len(ended):
            raise SweepFailed(f"{self._failures[kind]} of {len(ended)} trials failed the same way: {reason}")

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """End the loop where something asks for it; end workers that hang."""
        if dead := dead_servers():
            self._stopped = True
            raise ServersDied(servers_died(dead))
        reason = None
        try:
            late = set(self._watchdog.late(time.monotonic()))
            if late:
                self._end_hanging(trials, late)
            self._changed()
            reason = self._wants_stop()
        except BaseException as error:
            self.fail(error)
        if self._error is not None or reason is not None:
            self._stopped = True
            for trial in trials:
                _kill_worker(trial)
            raise Stopped(reason or "error", self._error)

    def _end_hanging(self, trials: list[Any], late: set[str]) -> None:
        for trial in trials:
            trial_id = trial.config["trial_id"]
            if trial_id not in late:
                continue
            patience = self._watchdog.patience(trial_id)
            if not _kill_worker(trial):
                if self._on_cluster:
                    self.expect(trial_id)
                    continue
                raise SweepFailed(f"{trial_id}: its trainer did not come up within {patience:.0f} s")
            self._hung[trial_id] = patience
            self._watchdog.ended(trial_id)

    def _end(self, trial_id: str, status: str, reason: str, rung: int | None) -> None:
        self._watchdog.ended(trial_id)
        epoch = self._journal.record(trial_id).epochs
        self._journal.append("trial_ended", trial_id, status=status, stop_reason=reason, epoch=epoch, rung=rung)
        self._ended(self._journal.record(trial_id))

    def _reason(self, trial: Any) -> str:
        patience = self._hung.pop(trial.config["trial_id"], None)
        if patience is not None:
            return f"no sign of life for {patience:.0f} s"
        try:
            written = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
        except (OSError, TypeError):
            return "the worker failed without a message"
        return failure_reason(written)


def _kill_worker(trial: Any) -> bool:
    """End a trial's worker, whatever it is doing; False where it has none."""
    actor = trial.temporary_state.ray_actor
    if actor is not None:
        ray.kill(actor)
    return actor is not None


def failure_reason(written: str) -> str:
    """The line that says most in Ray's account of a trial's failures, the newest of them."""
    lines = [line.strip() for line in FAILURE_HEAD.split(written)[-1].splitlines() if line.strip()]
    errors = [line for line in lines if ERROR_LINE.match(line)]
    if any("running low on memory" in line for line in lines):
        return "the worker was killed because memory ran out"
    if any(sign in line for line in lines for sign in NODE_LOST_SIGNS):
        return NODE_LOST
    in_setup = errors and any("in its creation task" in line for line in lines)  # which tells what went wrong there
    if not in_setup and any("actor died" in line for line in lines):
        return "the worker process died"
    line = (errors or lines or ["the worker failed without a message"])[-1]
    return OWN_MODULE.sub("", line)[:LONGEST_REASON]


def divergence(report: Event) -> str:
    """What was not finite, in words."""
    diverged = report.get("diverged")
    if isinstance(diverged, dict):
        return f"{diverged.get('term')} is {diverged.get('value')} at step {diverged.get('step')}"
    value = report.get("objective")
    problem = "not finite" if value is None or not math.isfinite(float(str(value))) else f"{value:g}"
    return f"the objective is {problem} in epoch {report.get('epoch')}"
