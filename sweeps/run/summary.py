"""What a run comes to, in a few lines for the terminal and as plain data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from messages import Texts
from sweeps.common.budget import duration
from sweeps.common.errors import RequestError
from sweeps.common.program import command
from sweeps.confirm.confirmation import RIVAL, confirms
from sweeps.confirm.secondary_metrics import SecondaryMetric
from sweeps.confirm.verdict_text import sentence
from sweeps.run.trials_csv import convergence_by_trial
from sweeps.search.asha import RungCorrelation
from sweeps.trials.objective import Best
from sweeps.trials.record import TrialRecord, default_record

if TYPE_CHECKING:
    from sweeps.run.run import Run, SweepResult


LABEL_WIDTH = 13


def line(label: str, text: str) -> str:
    """A label and its text, the texts of all lines aligned."""
    return f"{label:<{LABEL_WIDTH}}{text}"


def exportable(run: Run, unproven: bool = False) -> tuple[TrialRecord, Best]:
    """The trial that a run would export, and its best epoch; RequestError where it has none (controls never are).

    After a confirmation it is the proven one: the default, unless the finalist is better or `unproven` asks for it.
    """
    best = run.comparison.finalist if unproven and run.comparison is not None else run.recommended
    if best is None or best.best is None:
        why = "it holds only controls" if run.records else "it has no finished epoch yet"
        raise RequestError(f"{run.folder.name}: there is no config to export: {why}")
    return best, best.best


def closing_lines(result: SweepResult, lang: str = "en", findings: Sequence[str] = ()) -> list[str]:
    """How the sweep ended, the best config beside the default, the verdict, where to look; `lang` is en or fa.

    `findings` are lines that stand before the rest.
    """
    say, records, best, folder = Texts("closing", lang), result.records, result.best, result.folder
    counts, time = _counts(records, lang), duration(result.seconds)
    how = result.reason if lang == "en" else say(f"how.{result.ended}")  # the reason is English
    lines = [*findings, "", say("ended", how=how, counts=counts, time=time), *result.notes]
    if best is not None:
        lines.append(line(say("best"), describe(best, lang)))
        default = default_record(records)
        if default is best:
            lines.append(line(say("default"), say("default_best")))
        elif default is not None and default.objective is not None:
            lines.append(line(say("default"), _against(best, default, lang)))
            lines += [line(say("speed"), text) for text in _speed(best, default, lang)]
        if result.verdict is None:
            lines.append(line(say("unconfirmed"), say("one_seed")))
    if result.comparison is not None:
        lines.append(line(say("finalist"), _config(result.comparison.finalist)))
        lines.append(line(say("verdict"), sentence(result.comparison.verdict, lang)))
        lines += [line(say("measured"), _figure(figure, lang)) for figure in result.comparison.figures]
    if result.search is not None:
        lines += [line(label, text) for label, text in result.search.lines(lang)]
    rivals = (record for record in records if record.role == RIVAL and not confirms(record))
    lines += [line(say("rival"), _rival(record, lang)) for record in rivals]
    lines.append(line(say("rungs"), _correlation(result.correlation, lang)))
    if result.ended == "interrupted":
        address = "" if result.address is None else f" --address {result.address}"
        lines.append(line(say("resume"), command(f"resume {folder.in_command}{address}")))
        return lines
    if best is not None:
        lines.append(line(say("config"), str(folder.best_config)))
    lines.append(line(say("report"), str(folder.report)))
    return lines


def describe(record: TrialRecord, lang: str = "en") -> str:
    """A trial in one line: its config, its objective and the epoch of it."""
    say = Texts("closing", lang)
    at = "" if record.best_epoch is None else say("at", epoch=record.best_epoch)
    uses = record.best_report.get("text_use")
    text = say("text_use", value=uses) if isinstance(uses, float) else ""
    return f"{_config(record)}: {_objective(record, lang)}{at}{text}"


def _objective(record: TrialRecord, lang: str) -> str:
    say = Texts("closing", lang)
    return say("no_objective") if record.objective is None else say("objective", value=record.objective)


def _config(record: TrialRecord) -> str:
    return f"{record.trial_id}: " + ", ".join(f"{name} {_short(value)}" for name, value in record.params.items())


def _rival(record: TrialRecord, lang: str) -> str:
    about = {"trial_id": record.trial_id, "label": record.label, "objective": _objective(record, lang)}
    return Texts("closing", lang)("rival_is", **about)


def _figure(figure: SecondaryMetric, lang: str) -> str:
    say = Texts("closing", lang)
    known = figure.low is not None and figure.high is not None
    return say(
        "figure",
        label=figure.label_fa if lang == "fa" else figure.label,
        finalist=figure.finalist,
        default=figure.default,
        percent=figure.percent,
        interval=say("interval", low=figure.low, high=figure.high) if known else "",
    )


def _correlation(correlation: RungCorrelation, lang: str) -> str:
    name = "rung_few" if correlation.value is None else "rung_is"
    return Texts("closing", lang)(name, rung=correlation.rung, trials=correlation.trials, value=correlation.value)


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
        "verdict": None if result.comparison is None else result.comparison.to_json(),
        "rung_correlation": result.correlation.value,
        "notes": list(result.notes),
        **({} if result.search is None else result.search.as_dict()),
    }


def run_row(run: Run) -> dict[str, object]:
    """A run for `list --json`."""
    best = run.best
    search = [record for record in run.records if record.role != "confirm"]
    return {
        "run": run.folder.name,
        "folder": str(run.folder.path),
        "space": run.config.space.name,
        "trials": len(search),
        "ended": sum(record.status is not None for record in search),
        "of": run.config.trials,
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


def _against(best: TrialRecord, default: TrialRecord, lang: str) -> str:
    say, config = Texts("closing", lang), describe(default, lang)
    if best.objective is None or not default.objective or not math.isfinite(best.objective):
        return say("incomparable", config=config)
    change = 100.0 * (best.objective / default.objective - 1.0)
    direction = say("lower" if change < 0 else "higher")
    return say("default_beaten", config=config, percent=abs(change), direction=direction)


def _speed(best: TrialRecord, default: TrialRecord, lang: str) -> list[str]:
    """How fast the search's best and its default came to the target; nothing where a trainer gives none."""
    found = convergence_by_trial([default, best])
    ours, theirs = found[best.trial_id], found[default.trial_id]
    epochs, default_epochs = ours["epochs_to_target"], theirs["epochs_to_target"]
    if not isinstance(epochs, float) or not isinstance(default_epochs, float):
        return []
    speed = f"{ours['speedup']:.2f}x" if isinstance(ours["speedup"], float) else str(ours["speedup_bound"])
    return [
        Texts("closing", lang)(
            "speed_is",
            epochs=f"{epochs:.1f}",
            default=f"{default_epochs:.1f}",
            speed=speed,
            common=ours["common_epochs"],
            mean=ours["mean_objective"],
            default_mean=ours["default_mean_objective"],
        )
    ]


def _counts(records: Sequence[TrialRecord], lang: str) -> str:
    counted: Mapping[str, int] = Counter(record.status or "running" for record in records)
    say = Texts("closing", lang)
    shown = (f"{count} {say.known(f'status.{status}', status)}" for status, count in counted.items())
    return say("comma").join(shown) or say("no_trials")


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
