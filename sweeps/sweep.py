"""Run a sweep, or resume one: what is asked for is checked here, before anything is written or started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sweeps.errors import RequestError
from sweeps.plan import Plan, make_plan, this_machine
from sweeps.progress import Display, QuietDisplay
from sweeps.report import Report, write_report
from sweeps.request import SweepRequest, raised, sweep_yaml
from sweeps.run_files import rewrite_files
from sweeps.run_folder import new_run, read_sweep_yaml, write_sweep_yaml
from sweeps.run_record import Hook, Run, SweepResult, read_run, searched
from sweeps.session import Session
from sweeps.space import check_limits
from sweeps.trainer import Trainer, known_params, load_trainer, unknown_params
from sweeps.watchdog import Watchdog

__all__ = ["Hook", "Run", "SweepResult", "check", "plan_for", "read_run", "resume", "rewrite_files", "run"]


def plan_for(request: SweepRequest) -> Plan:
    """How the sweep would use this machine."""
    return make_plan(
        this_machine(),
        request.trials,
        concurrent=request.concurrent,
        cpus_per_trial=request.cpus_per_trial,
        gpus_per_trial=request.gpus_per_trial,
    )


def check(request: SweepRequest) -> type[Trainer]:
    """The trainer's class, after everything that can be wrong with a request was looked at."""
    check_limits(
        request.space, {**request.space.fixed, **request.set_params}, request.limits, allow_unsafe=request.allow_unsafe
    )
    searched = [name for name in request.set_params if name in request.columns]
    if searched:
        raise RequestError(f"--set {searched[0]}: space {request.space.name} searches it already")
    trainer = load_trainer(request.trainer)
    known = known_params(trainer)
    if known is not None:
        where = dict.fromkeys(request.space.knobs, f"space {request.space.name}")
        where |= dict.fromkeys(request.space.fixed, f"space {request.space.name}, set")
        where |= dict.fromkeys(request.set_params, "--set")
        problems = unknown_params(where, known)
        if problems:
            raise RequestError("; ".join(problems))
    return trainer


def run(
    request: SweepRequest,
    *,
    display: Display | None = None,
    on_end: Sequence[Hook] = (),
    watchdog: Watchdog | None = None,
    report: Report = write_report,
) -> SweepResult:
    """Run a new sweep. RequestError before anything is written; SweepFailed where no result could be produced."""
    trainer = check(request)
    plan = plan_for(request)
    folder = new_run(request.output, request.name)
    with folder.locked():
        write_sweep_yaml(folder, sweep_yaml(request, plan))
        session = Session(folder, request, plan, trainer, display or QuietDisplay(), watchdog, report=report)
        return session.run("sweep_started", on_end)


def resume(
    path: Path,
    *,
    trials: int | None = None,
    budget_seconds: float | None = None,
    display: Display | None = None,
    on_end: Sequence[Hook] = (),
    watchdog: Watchdog | None = None,
    report: Report = write_report,
) -> SweepResult:
    """Go on with a run from its journal and checkpoints; `trials` and `budget_seconds` may be raised."""
    found = read_run(path)
    request, folder = raised(found.request, trials, budget_seconds), found.folder
    if request.trials < len(searched(found.records)):
        raise RequestError(f"--trials {request.trials}: {folder.name} has {len(searched(found.records))} already")
    spent = request.budget.exhausted(trials=0, seconds=found.seconds)
    if spent is not None:
        raise RequestError(f"{folder.name}: {spent}; give it more with --budget")
    trainer = check(request)
    with folder.locked():
        if request != found.request:
            write_sweep_yaml(
                folder,
                {**read_sweep_yaml(folder), "trials": request.trials, "budget_seconds": request.budget.seconds},
            )
        shown = display or QuietDisplay()
        session = Session(folder, request, found.plan, trainer, shown, watchdog, found.seconds, report)
        return session.run("sweep_resumed", on_end)
