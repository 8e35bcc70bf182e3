"""What a run comes to, in a few lines for the terminal and as plain data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sweeps.budget import duration
from sweeps.confirmation import RIVAL, confirms
from sweeps.errors import RequestError
from sweeps.objective import Best
from sweeps.records import TrialRecord, default_record

if TYPE_CHECKING:
    from sweeps.sweep import Run, SweepResult


def exportable(run: Run, unproven: bool = False) -> tuple[TrialRecord, Best]:
    """The trial that a run would export, and its best epoch; RequestError where it has none (controls never are).

    After a confirmation it is the proven one: the default, unless the finalist is better or `unproven` asks for it.
    """
    best = run.judgement.finalist if unproven and run.judgement is not None else run.recommended
    if best is None or best.best is None:
        why = "it holds only controls" if run.records else "it has no finished epoch yet"
        raise RequestError(f"{run.folder.name}: there is no config to export: {why}")
    return best, best.best


def closing_lines(result: SweepResult, lang: str = "en") -> list[str]:
    """How the sweep ended, the best config beside the default, the verdict (in English or Persian), where to look."""
    records, best, folder = result.records, result.best, result.folder
    lines = ["", f"{result.reason}: {_counts(records)} in {duration(result.seconds)}", *result.notes]
    if best is not None:
        lines.append(f"best         {describe(best)}")
        default = default_record(records)
        if default is not None and default.objective is not None and default is not best:
            lines.append(f"default      {describe(default)}: {_against(best, default)}")
        elif default is best:
            lines.append("default      is the best of the search: nothing that was tried beat it")
        if result.verdict is None:
            lines.append("unconfirmed  one seed each: seeds differ by as much as good configs do")
    if result.judgement is not None:
        lines.append(f"finalist     {_config(result.judgement.finalist)}")
        lines.append(f"verdict      {result.judgement.verdict.sentence(lang)}")
        lines += [f"measured     {figure}" for figure in result.judgement.figures]
    lines += [f"rival        {_rival(record)}" for record in records if record.role == RIVAL and not confirms(record)]
    lines.append(f"rungs        {result.correlation}")
    if result.ended == "interrupted":
        lines.append(f"resume with  python run_sweep.py resume {folder.name}{_output(result)}")
        return lines
    if best is not None:
        lines.append(f"config       {folder.best_config}")
    lines.append(f"report       {folder.report}")
    return lines


def describe(record: TrialRecord) -> str:
    """A trial in one line: its config, its objective and the epoch of it."""
    objective = "no finite objective" if record.objective is None else f"objective {record.objective:.4f}"
    at = "" if record.best_epoch is None else f" at epoch {record.best_epoch}"
    uses = record.best_report.get("text_use")
    text = f", text_use {uses:.3f}" if isinstance(uses, float) else ""
    return f"{_config(record)}: {objective}{at}{text}"


def _config(record: TrialRecord) -> str:
    return f"{record.trial_id}: " + ", ".join(f"{name} {_short(value)}" for name, value in record.params.items())


def _rival(record: TrialRecord) -> str:
    objective = "no finite objective" if record.objective is None else f"objective {record.objective:.4f}"
    return f"{record.trial_id}: {record.label}, which needs no sweep: {objective}, with the search's seed"


def result_as_dict(result: SweepResult) -> dict[str, object]:
    """For --json."""
    best = result.best
    return {
        "run": result.folder.name,
        "folder": str(result.folder.path),
        "ended": result.ended,
        "reason": result.reason,
        "seconds": round(result.seconds, 1),
        "trials": dict(Counter(record.status or "running" for record in result.records)),
        "best": None if best is None else _trial(best),
        "verdict": None if result.judgement is None else result.judgement.to_json(),
        "rung_correlation": result.correlation.value,
        "notes": list(result.notes),
    }


def run_row(run: Run) -> dict[str, object]:
    """A run for `list --json`."""
    best = run.best
    search = [record for record in run.records if record.role != "confirm"]
    return {
        "run": run.folder.name,
        "folder": str(run.folder.path),
        "space": run.request.space.name,
        "trials": len(search),
        "ended": sum(record.status is not None for record in search),
        "of": run.request.trials,
        "seconds": round(run.seconds, 1),
        "best": None if best is None else _trial(best),
    }


def run_line(run: Run) -> str:
    """A run for `list`."""
    row = run_row(run)
    best = "no result yet" if run.best is None else f"best {run.best.objective:.4f} ({run.best.trial_id})"
    return f"{row['run']:<36} {row['ended']}/{row['of']} trials, {duration(run.seconds)}, {best}"


def _trial(record: TrialRecord) -> dict[str, object]:
    return {
        "trial_id": record.trial_id,
        "params": dict(record.params),
        "objective": record.objective,
        "best_epoch": record.best_epoch,
        "status": record.status,
    }


def _against(best: TrialRecord, default: TrialRecord) -> str:
    assert best.objective is not None
    assert default.objective is not None
    if not default.objective or not math.isfinite(best.objective):
        return "not comparable"
    change = 100.0 * (best.objective / default.objective - 1.0)
    return f"the best is {abs(change):.1f} % {'lower' if change < 0 else 'higher'}"


def _counts(records: Sequence[TrialRecord]) -> str:
    counted: Mapping[str, int] = Counter(record.status or "running" for record in records)
    return ", ".join(f"{count} {status}" for status, count in counted.items()) or "no trials"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _output(result: SweepResult) -> str:
    output = str(result.folder.path.parent)
    return "" if output == "runs" else f" --output {output}"
