"""What the sections after the first screen show, as values for their templates; None leaves a section out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from sweeps.confirm.confirmation_runs import judged_runs
from sweeps.confirm.convergence import PERCENTS, Crossing, crossings
from sweeps.confirm.explain.learning_rate import LEARNING_RATE, PROBE
from sweeps.confirm.learning_curve import Moment, learning_curve
from sweeps.confirm.plan import CONFIRMATION, SELECTION
from sweeps.confirm.speed_up import TARGET_PERCENT, speed_up
from sweeps.report.charts.confirmation import pairs_chart
from sweeps.report.charts.curves import loss_chart, objective_chart
from sweeps.report.charts.importance import importance_chart
from sweeps.report.charts.parallel import parallel_chart
from sweeps.report.charts.slices import plane_chart, slice_chart
from sweeps.report.coordinates import Axis
from sweeps.report.data import RunData, pairs_at_comparison
from sweeps.report.extras import ReportExtras, SampleText
from sweeps.report.importance import FEWEST_TRIALS
from sweeps.report.table import Cell, Row, Table, simple_table
from sweeps.report.text import Words, own, quiet
from sweeps.report.trial_marks import STATUSES, figure, kind, shown_speed, status, value_text
from sweeps.search.asha import rank_correlation
from sweeps.trials.objective import number
from sweeps.trials.record import TrialRecord

ROLES = ("trial", "control", "confirm", "rival")
SEVERITIES = ("problem", "warning", "note")
MOST_SAMPLE_BYTES = 3_600_000
"""Of sound and pictures: 4.8 MB in base64, which leaves the rest of 6 MB to the charts and tables of 100 trials."""


def filters(data: RunData, words: Words) -> dict[str, Any]:
    """Which trials can be shown: by how they ended, by role, by rank."""
    found = {"status": {record.status or "running" for record in data.records}, "role": _roles(data)}
    boxes = {}
    for name, known in (("status", STATUSES), ("role", ROLES)):
        values = [*(one for one in known if one in found[name]), *sorted(found[name].difference(known))]
        if name == "status" or len(values) > 1:
            boxes[name] = [(value, words.known(f"{name}_{value}", value)) for value in values]
    return {"boxes": boxes, "best": [n for n in (3, 5, 10, 25) if n < len(data.ranks)]}


def learning(data: RunData, words: Words, extras: ReportExtras) -> dict[str, Any]:
    """Objective and weighted loss by epoch, and the tables that belong to them."""
    charts = [objective_chart(data, words), loss_chart(data, words, extras.loss_bands, misleading(data, words))]
    tables = [(table, simple_table(table.title, table.head, table.rows)) for table in extras.tables]
    return {"objective": extras.objective, "charts": charts, "tables": tables}


def misleading(data: RunData, words: Words) -> str:
    """Which trial the weighted loss would have chosen, and what the objective says of that trial."""
    pairs = pairs_at_comparison(data, "loss")
    if data.comparison is None or len(pairs) < 3:
        return words("loss_misleads")
    by_loss = min(pairs, key=lambda pair: pair[1])
    place = 1 + sum(data.sign * objective < data.sign * by_loss[2] for _, _, objective in pairs)
    rho = rank_correlation(np.array([loss for _, loss, _ in pairs]), np.array([end for _, _, end in pairs]))
    chosen = words("loss_would_choose", trial=by_loss[0], place=place, trials=len(pairs), epoch=data.comparison.epoch)
    agreement = "" if rho is None else " " + words("loss_agreement", rho=f"{rho:+.2f}")
    return f"{words('loss_misleads')} {chosen}{agreement}"


def landscape(data: RunData, words: Words) -> list[tuple[str, list[Any], str]]:
    """The tabs that have something to show: name, charts, and a remark where there can be no chart."""
    acting = _slices(data, words, data.acting, "acting")
    if len(data.acting) >= 2:
        acting.append(plane_chart(data, words, data.acting[0], data.acting[1]))
    matters, remark = [], ""
    if data.importances and data.comparison is not None and not data.config.space.controls:
        matters = [importance_chart(words, data.importances, data.comparison)]
    elif not data.config.space.controls:  # listed configs are not a sample
        compared = 0 if data.comparison is None else len(data.comparison.costs)
        remark = words("too_few_for_importance", trials=compared, needed=FEWEST_TRIALS)
    tabs = [
        ("acting", acting, ""),
        ("parameters", _slices(data, words, data.searched, "parameter"), ""),
        ("all", [parallel_chart(data, words)], ""),
        ("matters", matters, remark),
    ]
    shown = [(name, [chart for chart in charts if chart is not None], remark) for name, charts, remark in tabs]
    return [tab for tab in shown if tab[1] or tab[2]]


def _slices(data: RunData, words: Words, axes: Sequence[Axis], prefix: str) -> list[Any]:
    return [slice_chart(data, words, axis, f"{prefix}-{place}") for place, axis in enumerate(axes)]


def trials(data: RunData, words: Words) -> dict[str, Any]:
    """A row for each trial, the search's best first."""
    columns = data.config.columns
    roles, seeds = len(_roles(data)) > 1, len({record.seed for record in data.records}) > 1
    names = ["trial", "rank", *(["role"] if roles else []), "status"]
    last = ["epochs", "objective", "at_epoch", "loss", *(["seed"] if seeds else [])]
    head = [*map(words, names), *columns, *map(words, last)]
    rows = []
    for record in sorted(data.records, key=lambda record: data.ranks.get(record.trial_id, len(data.records) + 1)):
        values = {**record.params, **record.coordinates}
        loss = number(record.last_report.get("loss"))
        before = [data.ranks.get(record.trial_id, "")]
        before += [words.known(f"role_{record.role}", record.role)] if roles else []
        after = [
            *(own(value_text(values[name])) if name in values else "" for name in columns),
            record.epochs,
            figure(record.objective),
            record.best_epoch or "",
            "" if loss is None else f"{loss:.4g}",
            *([record.seed] if seeds else []),
        ]
        rows.append({"record": record, "notes": _notes(data, words, record), "before": before, "after": after})
    return {"head": head, "rows": rows}


def _notes(data: RunData, words: Words, record: TrialRecord) -> str:
    """What a trial is besides a trial."""
    marks = {
        "kind_best": data.best,
        "kind_default": data.default,
        "kind_finalist": None if data.finalist is data.best else data.finalist,
        "taken": None if data.verdict is None else data.recommended,
    }
    return ", ".join(words(name) for name, marked in marks.items() if record is marked)


def _roles(data: RunData) -> set[str]:
    return {record.role for record in data.records}


def confirmation(data: RunData, words: Words) -> dict[str, Any] | None:
    """Finalist and default pair by pair, how the finalist was chosen, and the default at other learning rates."""
    found = {
        "chart": pairs_chart(data, words),
        "selection": _runs_of(data, words, SELECTION, "candidate", "selection_caption"),
        "rates": _runs_of(data, words, PROBE, "learning_rate", "rates_caption"),
    }
    return found if any(found.values()) else None


def _runs_of(data: RunData, words: Words, origin: str, first: str, caption: str) -> Table | None:
    """The confirmation runs of one origin, each with its end on the validation split."""
    rows = []
    for record in data.records:
        if record.origin == origin:
            what = value_text(record.params.get(LEARNING_RATE)) if origin == PROBE else record.label or ""
            rows.append([record.trial_id, what, record.seed, figure(_end(record)), status(words, record)])
    head = [words("run"), words(first), words("seed"), words("end_objective"), words("status")]
    return simple_table(words(caption), head, rows) if rows else None


def _end(record: TrialRecord) -> float | None:
    """The value that the finalist is chosen by: the mean of the last three evaluations."""
    end = learning_curve(record).end
    return end if math.isfinite(end) else None


def rivals(data: RunData, words: Words) -> Table | None:
    """The baselines that need no sweep: a row for each method under those of the default and of the best."""
    by_method: dict[str, list[TrialRecord]] = {}
    for record in data.records:
        if record.role == "rival":
            by_method.setdefault(record.label or record.trial_id, []).append(record)
    if not by_method:
        return None
    _, ours, theirs = judged_runs(data.records)
    rows = [
        _rival(data, words, words("kind_default"), data.default, list(theirs.values())),
        _rival(
            data,
            words,
            words("kind_best" if data.finalist is data.best else "kind_finalist"),
            data.finalist,
            list(ours.values()),
        ),
    ]
    for name, runs in by_method.items():
        own_run = next((record for record in runs if record.origin != CONFIRMATION), None)
        rows.append(_rival(data, words, name, own_run, [run for run in runs if run.origin == CONFIRMATION]))
    heads = ["method", "trial", "objective", "against_default", "status", "objective_on_test", "seeds"]
    return Table(words("rivals_caption"), [words(head) for head in heads], rows, "rivals")


def _rival(data: RunData, words: Words, name: str, record: TrialRecord | None, judged: Sequence[TrialRecord]) -> Row:
    ends = [end for run in judged if run.status == "finished" and (end := _end(run)) is not None]
    mean = math.fsum(ends) / len(ends) if ends else None
    objective = None if record is None else record.objective
    default = None if data.default is None else data.default.objective
    change = 100 * (objective / default - 1) if objective is not None and default else None
    cells = [
        name,
        "" if record is None else record.trial_id,
        Cell.number(figure(objective), objective),
        Cell.number("" if change is None else f"{change:+.1f} %", change),
        "" if record is None else status(words, record),
        Cell.number(figure(mean), mean),
        ", ".join(str(run.seed) for run in judged),
    ]
    return Row(cells, record, "" if record is None else kind(data, record))


def convergence_table(data: RunData, words: Words) -> dict[str, Any]:
    """When each trial crossed the targets that the default sets, the best trial first; or why there are none."""
    if data.targets.undefined is not None:
        return {"undefined": data.targets.undefined}
    targets = ", ".join(f"{percent} %: {figure(data.targets.objective_at(percent))}" for percent in PERCENTS)
    ranked = sorted(data.search, key=lambda one: (data.ranks.get(one.trial_id, len(data.records)), one.trial_id))
    head = [
        words("trial"),
        words("objective"),
        *(words("epochs_to", percent=percent) for percent in PERCENTS),
        words("updates_to", percent=TARGET_PERCENT),
        words("seconds_to", percent=TARGET_PERCENT),
        words("speed_up"),
    ]
    rows = [_crossings(data, words, record) for record in ranked]
    table = Table(words("convergence_caption"), head, rows, "convergence", tall=True)
    return {"note": words("convergence_note", targets=targets), "table": table}


def _crossings(data: RunData, words: Words, record: TrialRecord) -> Row:
    curve = data.curves[record.trial_id]
    found = crossings(curve, data.targets)
    last = found[TARGET_PERCENT]
    default = None if data.default is None else data.curves[data.default.trial_id]
    speed = None if default is None else speed_up(curve, default, data.targets)
    name = record.trial_id if record.label is None else own(record.trial_id) + " " + quiet(own(record.label))
    cells = [
        Cell(name, record.trial_id),
        Cell.number(figure(record.objective), record.objective),
        *(_epochs(words, crossing) for crossing in found.values()),
        _moment(last.at, "updates"),
        _moment(last.at, "seconds"),
        Cell.number("", None) if speed is None else Cell.number(shown_speed(words, speed), speed.low),
    ]
    return Row(cells, record, kind(data, record))


def _epochs(words: Words, crossing: Crossing) -> Cell:
    """Epochs to the target, or the bound that is known of them with its reason."""
    if crossing.at is not None:
        provisional = f" {words('provisional')}" if crossing.provisional else ""
        return Cell.number(f"{crossing.at.epochs:.2f}{provisional}", crossing.at.epochs)
    if crossing.censored_at is None:
        return Cell.number("", None)
    at = crossing.censored_at.epochs
    if crossing.censored == "left":
        return Cell.number(f"≤ {at:.2f}", at)
    reason = words.known(f"ending_{crossing.reason}", crossing.reason or "")
    return Cell.number(own(f"> {at:.4g}") + " " + quiet(reason), 1e6 + at)


def _moment(at: Moment | None, name: str) -> Cell:
    value = math.nan if at is None else getattr(at, name)
    return Cell.number(f"{value:.0f}", value) if math.isfinite(value) else Cell.number("", None)


def listening(texts: Sequence[SampleText]) -> dict[str, Any] | None:
    """The sentences whose samples fit into the page, and how many samples do not."""
    kept, used, left_out = [], 0, 0
    for one in texts:
        size = sum(len(sample.wav) + (0 if sample.picture is None else sample.picture.size) for sample in one.samples)
        if used + size <= MOST_SAMPLE_BYTES:
            used += size
            kept.append(one)
        else:
            left_out += len(one.samples)
    return {"sentences": kept, "left_out": left_out} if texts else None


def repeat(data: RunData, words: Words) -> dict[str, Any]:
    """Everything needed to repeat the run: the command, versions, the data's fingerprint, sweep.yaml whole."""
    content = data.run.content
    versions = content.get("versions")
    known = versions if isinstance(versions, Mapping) else {}
    rows = {
        words("data"): data.config.data,
        words("seed"): data.config.seed,
        words("plan"): data.run.resources,
        words("commit"): content.get("git_commit") or "",
        words("created"): content.get("created", ""),
        **{name: _plain(value) for name, value in data.config.data_summary.items()},
        words("versions"): ", ".join(f"{name} {version}" for name, version in known.items()),
    }
    return {
        "command": content.get("command"),
        "rows": {name: str(value) for name, value in rows.items() if str(value or "")},
        "sweep_yaml": yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True),
    }


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(entry)}" for name, entry in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
