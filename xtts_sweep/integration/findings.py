"""What xtts finds in a run's curves: for its closing lines, and as notes for the report."""

from __future__ import annotations

from collections.abc import Mapping

from messages import text
from sweeps.confirm.explain.learning_rate import gain_percent
from sweeps.report import FindingNote
from sweeps.run.diagnosis import Found
from sweeps.run.run import Run
from sweeps.run.summary import line
from sweeps.trials.record import TrialRecord, default_record
from xtts.diagnostics.curve_rules import PLANNED_EPOCHS, summary, trial_findings
from xtts.diagnostics.finding import Finding, worst_first
from xtts.diagnostics.setting_rules import ALIGNMENT_CONFIDENCE, LETTER_ORDER
from xtts.diagnostics.trials_rules import TrainedTrial, findings_over_trials, learning_rate_not_tuned


def sweep_findings(run: Run) -> tuple[Finding, ...]:
    """What holds for the sweep as a whole, worst first."""
    bounds = {
        parameter.name: (float(parameter.min), float(parameter.max))
        for parameter in run.config.space.searched
        if parameter.min is not None and parameter.max is not None
    }
    trials = [
        TrainedTrial(record.trial_id, record.role, record.status or "", all_params(run, record), record.reports)
        for record in run.records
    ]
    default = default_record(run.records)
    found = findings_over_trials(trials, default_id=None if default is None else default.trial_id, bounds=bounds)
    return worst_first([*found, *_rate_not_tuned(run)])


def _rate_not_tuned(run: Run) -> list[Finding]:
    compared = run.comparison
    rates = None if compared is None else compared.rates
    if compared is None or rates is None or not rates.matters_more(compared.verdict):
        return []
    gain = gain_percent(compared.verdict)
    return [learning_rate_not_tuned(rates.own.rate, rates.best.rate, rates.effect_percent or 0.0, gain)]


def closing_findings(run: Run, lang: str = "en") -> list[str]:
    """The closing lines: what holds for the sweep and for its best trial, notes left to the report."""
    best = run.best
    if best is None or not _on_speech(run):
        return []
    found = [*sweep_findings(run), *trial_findings(best.reports, all_params(run, best))]
    label = text("speech.finding", lang)
    return [line(label, found_text) for found_text in summary([one for one in found if one.severity != "note"], lang)]


def diagnosis(run: Run) -> list[Found]:
    """All findings of a run on speech, for its journal: the sweep's, then each trial's."""
    if not _on_speech(run):
        return []
    found = [_found(None, one) for one in sweep_findings(run)]
    for record in run.records:
        found += [_found(record.trial_id, one) for one in trial_findings(record.reports, all_params(run, record))]
    return found


def _found(trial_id: str | None, finding: Finding) -> Found:
    return Found(trial_id, finding.code, finding.severity, finding.text, finding.todo, finding.sentence("fa"))


def _on_speech(run: Run) -> bool:
    return "mel_sd" in run.config.data_summary


def finding_notes(run: Run, lang: str) -> tuple[FindingNote, ...]:
    """What holds for the sweep, then for trials that have ended: one note for all trials with one finding."""
    notes = [_note(found, lang) for found in sweep_findings(run)]
    by_code: dict[str, list[tuple[str, Finding]]] = {}
    for record in run.records:
        if record.status is not None:
            for found in trial_findings(record.reports, all_params(run, record)):
                by_code.setdefault(found.code, []).append((record.trial_id, found))
    for places in by_code.values():
        trial_ids = tuple(trial_id for trial_id, _ in places)
        first, example = places[0]
        notes.append(_note(example, lang, trial_ids, example_of="" if len(places) == 1 else first))
    return tuple(notes)


def _note(found: Finding, lang: str, trials: tuple[str, ...] = (), example_of: str = "") -> FindingNote:
    before = f"{example_of}: " if example_of else ""
    return FindingNote(found.severity, before + found.words("text", lang), found.words("todo", lang), trials)


def all_params(run: Run, record: TrialRecord) -> Mapping[str, object]:
    """Everything that a trial's trainer was given, the planned epochs, and what is known of the texts."""
    known = known_of(run.config.data_summary, run.config.budget.epochs)
    return {**known, **run.config.shared_params, **record.params}


def known_of(data_summary: Mapping[str, object], epochs: int) -> dict[str, object]:
    """What the rules use next to a trainer's own parameters: the planned epochs, and what is known of the texts."""
    alignment = data_summary.get("alignment")
    confidence = alignment.get("mean_confidence") if isinstance(alignment, Mapping) else None
    return {
        PLANNED_EPOCHS: epochs,
        ALIGNMENT_CONFIDENCE: confidence,
        LETTER_ORDER: data_summary.get("letter_order"),
    }
