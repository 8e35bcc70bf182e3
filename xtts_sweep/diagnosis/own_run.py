"""The diagnosis of runs of this program by the rules for logs and those for speech: a sweep's trials, or one's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

import numpy as np

from sweeps.common.errors import RequestError
from sweeps.storage.checkpoint import BEST
from xtts.diagnostics.curve_rules import trial_findings
from xtts.diagnostics.finding import Finding, number, worst_first
from xtts.diagnostics.logged_curve import Curve, CurveBuilder
from xtts.diagnostics.logged_run import LoggedRun
from xtts.diagnostics.logged_tags import CLIP_KEYS, OWN, Mapped, map_tags, number_under, weights_in
from xtts.diagnostics.reference import Reference, reference
from xtts.diagnostics.run_rules import run_findings, run_state
from xtts.diagnostics.setting_rules import ALIGNMENT_CONFIDENCE
from xtts_sweep.diagnosis.diagnosis import Diagnosis


def own_run(path: Path) -> list[Diagnosis] | None:
    """The trials of a run of this program; None where `path` is none."""
    folder = path if path.is_dir() else path.parent
    if not (folder / "sweep.yaml").is_file() or not (folder / "trials.jsonl").is_file():
        return None
    from sweeps.run.run import read_run
    from xtts_sweep.integration.findings import all_params

    run = read_run(folder)
    curves = reference() if "mel_sd" in run.config.data_summary else None
    ranked = [
        ((one.role != "trial", np.inf if one.objective is None else one.sign * one.objective), one)
        for one in run.records
        if one.reports
    ]
    found = []
    for _, record in sorted(ranked, key=lambda one: one[0]):
        logged, mapped, findings = judged(record.reports, all_params(run, record), record.mode, curves)
        found.append(
            Diagnosis(
                record.trial_id,
                run_state(logged, findings),
                logged.epochs,
                logged.best,
                findings,
                mapped.tags,
                (),  # the rest are known metrics of this program, which --map does not take
                OWN,
                logged,
            )
        )
    if not found:
        raise RequestError(f"{folder}: no trial of this run has reported an epoch yet")
    return found


def judged(
    reports: Sequence[Mapping[str, object]], params: Mapping[str, object], mode: str, healthy: Reference | None
) -> tuple[LoggedRun, Mapped, tuple[Finding, ...]]:
    """A trial's curves and what the rules find in them; `healthy`: the built-in trainer's, if it is that."""
    tags: dict[str, CurveBuilder] = {}
    for at, report in enumerate(reports, 1):
        for tag, value in report.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                tags.setdefault(tag, CurveBuilder()).add(np.array([float(at)]), np.array([float(value)]))
    curves = {tag: builder.curve() for tag, builder in tags.items()}
    mapped = map_tags({tag: curve.count for tag, curve in curves.items()})
    # One optimiser step's loss is not the epoch's mean: the rules on epochs report its spikes.
    logged = LoggedRun(
        {name: curves[tag] for name, tag in mapped.tags.items()},
        weights_in(params),
        weighted=False,
        clip=number_under(params, CLIP_KEYS),
        mode=mode,
    )
    # The sweep keeps the best weights itself, and has looked at the texts before it began.
    return logged, mapped, _speech_findings(logged, reports, params, healthy, {"best_without_file", "texts_unknown"})


def findings_of_log(run: LoggedRun, tags: Mapping[str, Curve], config: Mapping[str, object]) -> tuple[Finding, ...]:
    """What the rules find in a log of the built-in trainer with its config next to it, as `train` and W&B have them."""
    params = {key.rpartition(".")[2]: value for key, value in config.items()}
    seen = {"texts_unknown"} if number(params, ALIGNMENT_CONFIDENCE) is not None else set()
    return _speech_findings(run, _reports_in(tags), params, reference(), seen)


def with_best_file(run: LoggedRun) -> LoggedRun:
    """The run with the weights that `train` keeps: those of its lowest objective, under a name without a number."""
    best = run.best
    if best is None:
        return run
    kept = [
        replace(one, epoch=best.epoch, is_best=False) if Path(one.path).name == BEST else one for one in run.checkpoints
    ]
    return replace(run, checkpoints=tuple(kept))


def _speech_findings(
    logged: LoggedRun,
    reports: Sequence[Mapping[str, object]],
    params: Mapping[str, object],
    healthy: Reference | None,
    left_out: Set[str],
) -> tuple[Finding, ...]:
    """What the rules on epochs and those for logs find, without some of the latter's codes.

    `healthy`: the built-in trainer's curves, if it is that.
    """
    # The rules on epochs take the objective for an error, which one that is maximised is not.
    no_error = () if logged.mode == "min" else ("objective",)
    errors = [{name: value for name, value in one.items() if name not in no_error} for one in reports]
    own = trial_findings(errors, params)
    reported = {one.code for one in own} | left_out
    if number_under(params, ["cooldown"]):
        reported.add("still_improving")  # its advice is to continue, which a rate that has ended does not allow
    general = [one for one in run_findings(logged) if one.code not in reported]
    placed = healthy.finding(errors) if healthy is not None and params.get("model", "tiny") == "tiny" else None
    return worst_first([*own, *general, *([placed] if placed is not None else [])])


def _reports_in(curves: Mapping[str, Curve]) -> list[dict[str, object]]:
    """The epochs of a log of this program, which has one step for each."""
    rows: dict[float, dict[str, object]] = {}
    for tag, curve in curves.items():
        for step, value in zip(curve.steps.tolist(), curve.values.tolist(), strict=True):
            rows.setdefault(step, {})[tag] = value
    return [rows[step] for step in sorted(rows)]
