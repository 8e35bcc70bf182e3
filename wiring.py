"""What xtts knows of speech, as the plain data that sweeps takes: findings, samples and health for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sweeps.closing import default_record
from sweeps.recording import Recording
from sweeps.records import TrialRecord
from sweeps.report import Coordinate, FindingNote, HealthNote, ReportExtras, Sample, SampleText, write_report
from sweeps.run_folder import RunFolder
from sweeps.run_record import Run, read_run
from sweeps.weights_and_biases import Mode, start_recording
from sweeps.weights_and_biases import Sample as Sound
from xtts.findings import Finding, summary, trial_findings
from xtts.findings_over_trials import TrainedTrial, findings_over_trials

OBJECTIVE = (
    "mean absolute mel error on validation clips when the model runs on its own predictions, 1 to 8 patches (0.05 to "
    "0.37 s) ahead, in standard deviations of log-mel; no loss weight enters it"
)
OBJECTIVE_FA = (
    "میانگین خطای مطلق مل روی قطعه‌های اعتبارسنجی، وقتی مدل ۱ تا ۸ تکه (۰٫۰۵ تا ۰٫۳۷ ثانیه) با پیش‌بینی‌های خودش جلو "
    "می‌رود، به واحد انحراف معیار لگاریتم مل؛ هیچ وزنی در آن نیست"
)
_HEALTH_FA = {
    "speech": "گفتار",
    "splits": "بخش‌ها",
    "speakers": "گویندگان",
    "log-mel": "لگاریتم مل",
    "alignment": "هم‌ترازی",
    "left out": "کنار گذاشته",
    "fingerprint": "اثر انگشت داده",
}
RATIOS = (("mel/kl", "mel_loss_weight", "kl_loss_weight"), ("clip/mel", "gradient_clip_norm", "mel_loss_weight"))
WANDB_RATIOS = (
    ("rho", "kl_loss_weight", "mel_loss_weight"),
    ("clip_over_mel", "gradient_clip_norm", "mel_loss_weight"),
)
_WANDB_PROJECT = "xtts-sweep"
_MOST_NAMED = 20


def write_page(folder: RunFolder, lang: str = "en") -> Path:
    """report.html with everything that xtts can say about the run, in English or Persian (`fa`)."""
    return write_report(folder, report_extras(read_run(folder.path), lang), lang)


def report_extras(run: Run, lang: str = "en") -> ReportExtras:
    """Findings, health and samples of a run on speech; little more than the coordinates for another trainer's."""
    data = run.request.data_summary
    coordinates = tuple(Coordinate(*ratio) for ratio in RATIOS)
    if "mel_sd" not in data:
        return ReportExtras(coordinates=coordinates)
    return ReportExtras(
        objective=OBJECTIVE_FA if lang == "fa" else OBJECTIVE,
        coordinates=coordinates,
        findings=_notes(run, lang),
        health=_health(data, lang),
        health_notes=_health_notes(data, lang),
        samples=_samples(run.folder.best / "samples"),
    )


def recording(mode: Mode) -> Recording:
    """What a session calls to begin the W&B record of a run."""
    return partial(_WandbRecording, mode=mode)


class _WandbRecording:
    """W&B's record of one session, which ends with what the best model says."""

    def __init__(self, folder: RunFolder, mode: Mode) -> None:
        self._folder = folder
        self._record = start_recording(folder, mode, project=_WANDB_PROJECT, ratios=WANDB_RATIOS)
        self._line: str | None = None
        self._open = True

    def close(self) -> str | None:
        """End the record; the line for people, the same if it is called again."""
        if self._open:
            self._open = False
            self._line = self._record.close(_sounds(self._folder))
        return self._line


def _sounds(folder: RunFolder) -> list[Sound]:
    """The sentences of best/ for W&B, under the trial whose weights say them."""
    best = read_run(folder.path).recommended
    texts = sorted((folder.best / "samples").glob("*.txt"))
    if best is None:
        return []
    return [
        Sound(best.trial_id, f"sample {text.stem} {who}", audio=wav, caption=text.read_text("utf-8").strip())
        for text in texts
        for who in ("said", "real", "default")
        if (wav := text.with_suffix(f".{who}.wav")).is_file()
    ]


def sweep_findings(run: Run) -> tuple[Finding, ...]:
    """What holds for the sweep as a whole, worst first."""
    bounds = {
        parameter.name: (float(parameter.min), float(parameter.max))
        for parameter in run.request.space.searched
        if parameter.min is not None and parameter.max is not None
    }
    trials = [
        TrainedTrial(record.trial_id, record.role, record.status or "", _all_params(run, record), record.reports)
        for record in run.records
    ]
    default = default_record(run.records)
    return findings_over_trials(trials, default_id=None if default is None else default.trial_id, bounds=bounds)


def closing_findings(run: Run, lang: str = "en") -> list[str]:
    """The closing lines: what holds for the sweep and for its best trial, notes left to the report."""
    best = run.best
    if best is None or "mel_sd" not in run.request.data_summary:
        return []
    found = [*sweep_findings(run), *trial_findings(best.reports, _all_params(run, best))]
    return [f"finding      {line}" for line in summary([one for one in found if one.severity != "note"], lang)]


def _all_params(run: Run, record: TrialRecord) -> Mapping[str, object]:
    return {**run.request.shared_params, **record.params}


def _notes(run: Run, lang: str) -> tuple[FindingNote, ...]:
    notes = [_note(found, lang) for found in sweep_findings(run)]
    for record in run.records:
        if record.status is not None:
            found_in_trial = trial_findings(record.reports, _all_params(run, record))
            notes += [_note(found, lang, record.trial_id) for found in found_in_trial]
    return tuple(notes)


def _note(found: Finding, lang: str, *trials: str) -> FindingNote:
    if lang == "fa":
        return FindingNote(found.severity, found.sentence("fa"), "", trials)
    return FindingNote(found.severity, found.text, found.todo, trials)


def _health(data: Mapping[str, Any], lang: str) -> dict[str, str]:
    figures = _health_figures(data)
    return {_HEALTH_FA[name]: text for name, text in figures.items()} if lang == "fa" else figures


def _health_figures(data: Mapping[str, Any]) -> dict[str, str]:
    speakers: Mapping[str, int] = data["speakers"]
    return {
        "speech": f"{data['clips']:,} clips, {60 * data['hours']:.1f} minutes ({data['source']})",
        "splits": _counted(data["splits"]),
        "speakers": _counted(dict(list(speakers.items())[:_MOST_NAMED])),
        "log-mel": f"mean {data['mel_mean']:.2f}, sd {data['mel_sd']:.2f}",
        "alignment": f"mean confidence {data['alignment']['mean_confidence']:.2f}",
        "left out": _counted(data["excluded"]) or "nothing",
        "fingerprint": str(data["fingerprint"]),
    }


def _health_notes(data: Mapping[str, Any], lang: str) -> tuple[HealthNote, ...]:
    doubtful: Sequence[str] = data["alignment"]["doubtful"]
    if not doubtful:
        return ()
    what = "clips fit other texts of their length as well as their own: look for wrong transcripts"
    if lang == "fa":
        what = "قطعه‌هایی که با متن‌های دیگرِ هم‌اندازه هم به همان خوبی جور در می‌آیند: شاید متنشان نادرست باشد"
    return (HealthNote(what, tuple(doubtful[:_MOST_NAMED])),)


def _samples(folder: Path) -> tuple[SampleText, ...]:
    found = []
    for text in sorted(folder.glob("*.txt")):
        real, said = text.with_suffix(".real.wav"), text.with_suffix(".said.wav")
        if real.is_file() and said.is_file():
            sentence = text.read_text("utf-8").partition("|")[2].strip()
            default = text.with_suffix(".default.wav")
            others = (_sample("default", default),) if default.is_file() else ()
            found.append(SampleText(sentence, (_sample("real", real), *others, _sample("best", said))))
    return tuple(found)


def _sample(who: Any, wav: Path) -> Sample:
    from xtts.audio import decode
    from xtts.mel import log_mel

    content = wav.read_bytes()
    recording = decode(content)
    samples = getattr(recording, "samples", None)
    return Sample(who, content, None if samples is None else log_mel(samples))


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
