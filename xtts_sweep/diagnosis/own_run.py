"""The diagnosis of a run of this program: its trials, by the rules for logs and those for speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sweeps.common.errors import RequestError
from xtts.diagnostics.curve_rules import trial_findings
from xtts.diagnostics.finding import Finding, worst_first
from xtts.diagnostics.logged_curve import CurveBuilder
from xtts.diagnostics.logged_run import LoggedRun
from xtts.diagnostics.logged_tags import CLIP_KEYS, Mapped, map_tags, number_under, weights_in
from xtts.diagnostics.reference import Reference, reference
from xtts.diagnostics.run_rules import run_findings, run_state
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
                "xtts-sweep",
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
    # The rules on epochs take the objective for an error, which one that is maximised is not.
    left_out = () if mode == "min" else ("objective",)
    errors = [{name: value for name, value in one.items() if name not in left_out} for one in reports]
    own = trial_findings(errors, params)
    # The sweep keeps the best weights itself, and has looked at the texts before it began.
    reported = {one.code for one in own} | {"best_without_file", "texts_unknown"}
    if number_under(params, ["cooldown"]):
        reported.add("still_improving")  # its advice is to continue, which a rate that has ended does not allow
    general = [one for one in run_findings(logged) if one.code not in reported]
    placed = healthy.finding(errors) if healthy is not None and params.get("model", "tiny") == "tiny" else None
    return logged, mapped, worst_first([*own, *general, *([placed] if placed is not None else [])])
