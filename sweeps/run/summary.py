"""The result of a run, in a few lines for the terminal and as plain data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from messages import Texts
from sweeps.common.budget import duration
from sweeps.common.errors import RequestError
from sweeps.common.program import command
from sweeps.confirm.confirmation_runs import confirms
from sweeps.confirm.plan import RIVAL
from sweeps.confirm.secondary_metrics import SecondaryMetric
from sweeps.confirm.verdict_text import sentence
from sweeps.run.convergence_columns import convergence_against
from sweeps.run.run import Run, SweepResult
from sweeps.run.search_summary import search_summary
from sweeps.search.asha import RungCorrelation, rung_correlation
from sweeps.trials.record import TrialRecord, default_record, searched

LABEL_WIDTH = 13
MOST_LINES = 12
"""Of the closing lines; what is left out is in the report."""


def line(label: str, text: str) -> str:
    """A label and its text, the texts of all lines aligned."""
    return f"{label:<{LABEL_WIDTH}}{text}"


@dataclass(frozen=True, slots=True)
class ClosingLine:
    """A line and its rank: 0 is always shown, and where there are too many lines the highest rank goes first."""

    text: str
    rank: int = 0


def exportable(run: Run, unproven: bool = False) -> TrialRecord:
    """The trial that a run would export; RequestError where it has none (controls never are).

    After a confirmation it is the proven one: the default, unless the finalist is better or `unproven` asks for it.
    """
    best = run.comparison.finalist if unproven and run.comparison is not None else run.recommended
    if best is None or best.objective is None:
        why = "no trial has a finite objective yet"
        if run.records and all(record.role == "control" for record in run.records):
            why = "it holds only controls"
        raise RequestError(f"{run.folder.name}: there is no config to export: {why}")
    return best


def closing_lines(result: SweepResult, lang: str = "en", findings: Sequence[str] = ()) -> list[str]:
    """At most twelve lines: how the sweep ended, the best config against the default, the verdict, where to look.

    `findings`, worst first, come before the rest, as many as fit.
    """
    say, folder = Texts("closing", lang), result.folder
    counts, time = _counts(searched(result.records) or result.records, lang), duration(result.seconds, lang)
    how = result.reason if lang == "en" else say(f"how.{result.ended}")  # the reason is English
    lines = [ClosingLine(text, FINDING) for text in findings]
    lines += [ClosingLine(""), ClosingLine(say("ended", how=how, counts=counts, time=time))]
    lines += [ClosingLine(note) for note in result.notes]
    lines += _answer(result, lang)
    lines += [ClosingLine(line(label, text), SEARCH) for _, label, text in search_summary(result.run).lines(lang)]
    rivals = (record for record in result.records if record.role == RIVAL and not confirms(record))
    lines += _joined(say, "rival", [_rival(record, lang) for record in rivals])
    lines.append(ClosingLine(line(say("rungs"), _correlation(rung_correlation_of(result.run), lang)), RUNGS))
    if result.ended == "interrupted":
        address = "" if result.run.config.address is None else f" --address {result.run.config.address}"
        lines.append(ClosingLine(line(say("resume"), command(f"resume {folder.in_command}{address}"))))
    else:
        lines += [ClosingLine(line(say("config"), str(folder.best_config)))] if result.best is not None else []
        lines.append(ClosingLine(line(say("report"), str(folder.report))))
    kept = _fitting(lines)
    left_out = len(findings) - sum(one.rank == FINDING for one in kept)
    more = say("more_findings", count=left_out) if left_out and result.ended != "interrupted" else ""
    return [*(one.text for one in kept[:-1]), kept[-1].text + more]


PAYS, SEARCH, FINDING, MEASURED, RUNGS = range(1, 6)


def _answer(result: SweepResult, lang: str) -> list[ClosingLine]:
    """The best config, the default, how sure, how fast."""
    say, best, default = Texts("closing", lang), result.best, default_record(result.records)
    lines = []
    if best is not None:
        lines.append(ClosingLine(line(say("best"), describe(best, lang))))
        if default is best:
            lines.append(ClosingLine(line(say("default"), _unbeaten(best, result.records, lang))))
        elif default is not None and default.objective is not None:
            lines.append(ClosingLine(line(say("default"), _against(best, default, lang))))
            lines += [ClosingLine(line(say("speed"), text), PAYS) for text in _speed(best, default, lang)]
        if result.verdict is None:
            lines.append(ClosingLine(line(say("unconfirmed"), say("one_seed"))))
    if result.comparison is not None:
        finalist = result.comparison.finalist
        if best is None or finalist.trial_id != best.trial_id:
            lines.append(ClosingLine(line(say("finalist"), _config(finalist))))
        lines.append(ClosingLine(line(say("verdict"), sentence(result.comparison.verdict, lang))))
        lines += _joined(say, "measured", [_figure(figure, lang) for figure in result.comparison.figures])
    return lines


def _joined(say: Texts, label: str, texts: Sequence[str]) -> list[ClosingLine]:
    return [ClosingLine(line(say(label), say("semicolon").join(texts)), MEASURED)] if texts else []


def _fitting(lines: Sequence[ClosingLine]) -> list[ClosingLine]:
    kept = list(lines)
    while len(kept) > MOST_LINES and any(one.rank for one in kept):
        kept.pop(max(range(len(kept)), key=lambda place: (kept[place].rank, place)))
    return kept


def _unbeaten(default: TrialRecord, records: Sequence[TrialRecord], lang: str) -> str:
    """That the default is the best, and the control that was better where there is one."""
    say = Texts("closing", lang)
    controls = [record for record in records if record.role == "control" and record.cost is not None]
    better = min(controls, key=lambda record: record.rank, default=None)
    if better is None or better.cost is None or default.cost is None or better.cost >= default.cost:
        return say("default_best")
    return say("default_best_inside", control=better.trial_id, objective=_objective(better, lang))


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


def rung_correlation_of(run: Run) -> RungCorrelation:
    """How well the first rung foretold the order at the end."""
    return rung_correlation(searched(run.records), run.config.budget.first_rung)


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
        "rung_correlation": rung_correlation_of(result.run).value,
        "notes": list(result.notes),
        **search_summary(result.run).as_dict(),
    }


def run_row(run: Run) -> dict[str, object]:
    """A run for `list --json`."""
    best = run.best
    search = searched(run.records)
    return {
        "run": run.folder.name,
        "folder": str(run.folder.path),
        "space": run.config.space.name,
        "trials": len(search),
        "ended": sum(record.status is not None for record in search),
        "of": run.trials,
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
    change = 100.0 * (best.objective - default.objective) / abs(default.objective)
    direction = say("lower" if change < 0 else "higher")
    return say("default_beaten", config=config, percent=abs(change), direction=direction)


def _speed(best: TrialRecord, default: TrialRecord, lang: str) -> list[str]:
    """How fast the search's best and its default came to the target; nothing where a trainer gives none."""
    ours, theirs = convergence_against(best, default), convergence_against(default, default)
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
