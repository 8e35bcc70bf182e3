"""report.html of a run on speech, with everything that xtts can say about it."""

from __future__ import annotations

from pathlib import Path

from messages import text
from sweeps.report import Coordinate, ReportExtras, write_report
from sweeps.run.run import Run
from xtts_sweep.integration.findings import finding_notes
from xtts_sweep.integration.health import health_figures, health_notes
from xtts_sweep.integration.loss_story import loss_bands, story_tables
from xtts_sweep.integration.samples import sample_texts

RATIOS = (("mel/kl", "mel_loss_weight", "kl_loss_weight"), ("clip/mel", "gradient_clip_norm", "mel_loss_weight"))


def write_page(run: Run, lang: str = "en") -> Path:
    """report.html with everything that xtts can say about the run, in English or Persian (`fa`)."""
    return write_report(run, report_extras(run, lang), lang)


def report_extras(run: Run, lang: str = "en") -> ReportExtras:
    """Findings, story, health and samples of a run on speech; for another trainer's hardly more than coordinates."""
    data = run.config.data_summary
    coordinates = tuple(Coordinate(*ratio) for ratio in RATIOS)
    if "mel_sd" not in data:
        return ReportExtras(coordinates=coordinates)
    controls = run.config.space.controls
    return ReportExtras(
        objective=text("speech.objective", lang),
        coordinates=coordinates,
        findings=finding_notes(run, lang),
        health=health_figures(data, lang),
        health_notes=health_notes(data, lang),
        samples=sample_texts(run),
        loss_bands=loss_bands(lang) if controls else (),
        tables=story_tables(run, lang) if controls else (),
    )
