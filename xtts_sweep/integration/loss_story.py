"""The three-digit-loss story in the report of a run of controls: bands behind the loss chart, and tables under it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from messages import Texts
from sweeps.report import ExtraTable, LossBand
from sweeps.run.convergence_columns import convergence_by_trial
from sweeps.run.run import Run
from sweeps.trials.record import TrialRecord
from xtts.diagnostics.loss_story import BANDS, BandRow, measured_in_bands, story_row, success_signs


def loss_bands(lang: str) -> tuple[LossBand, ...]:
    """The story's bands, a quarter of training each."""
    words = Texts("story", lang)
    share = 1 / len(BANDS)
    return tuple(
        LossBand(
            f"{words(band.name)} {words('span', low=band.low, high=band.high)}",
            band.low,
            band.high,
            place * share,
            place * share + share,
        )
        for place, band in enumerate(BANDS)
    )


def story_tables(run: Run, lang: str) -> tuple[ExtraTable, ...]:
    """The story config by config, bands next to printed losses, and signs of success by trial."""
    words = Texts("story", lang)
    ended = [record for record in run.records if record.reports and record.status is not None]
    if not ended:
        return ()
    return _story_table(run, ended, words), _bands_table(ended, words), _signs_table(ended, words)


def _story_table(run: Run, ended: Sequence[TrialRecord], words: Texts) -> ExtraTable:
    speeds = convergence_by_trial(run.records)
    rows = []
    for record in ended:
        row = story_row(record.reports)
        to_target = speeds[record.trial_id]["epochs_to_target"]
        rows.append(
            (
                _name(record),
                _figure(row.loss_first, ".4g"),
                _figure(row.loss_max, ".4g"),
                _figure(row.objective, ".4f"),
                f"{to_target:.2f}" if isinstance(to_target, float) else words("not_reached"),
                "" if row.zero_gradient_share is None else f"{row.zero_gradient_share:.1%}",
            )
        )
    head = tuple(words(key) for key in ("trial", "first_loss", "worst", "objective", "to_target", "zeroed"))
    return ExtraTable(words("story"), head, tuple(rows), words("story_note"))


def _bands_table(ended: Sequence[TrialRecord], words: Texts) -> ExtraTable:
    rows = [(_name(record), *(_band(row, words) for row in measured_in_bands(record.reports))) for record in ended]
    head = (words("trial"), *(band.name for band in loss_bands(words.lang)))
    return ExtraTable(words("bands"), head, tuple(rows), words("bands_note"))


def _signs_table(ended: Sequence[TrialRecord], words: Texts) -> ExtraTable:
    rows = []
    for record in ended:
        signs = success_signs(record.reports)
        marks = (signs.digits, signs.steady_fall, signs.no_jumps, signs.no_crash)
        first = story_row(record.reports).loss_first
        shown = tuple(words("yes" if mark else "no") for mark in marks)
        rows.append((_name(record), _figure(first, ".4g"), *shown, _figure(record.objective, ".4f")))
    keys = ("trial", "first_loss", "digits", "steady_fall", "no_jumps", "no_crash", "objective")
    return ExtraTable(words("signs"), tuple(words(key) for key in keys), tuple(rows), words("signs_note"))


def _band(row: BandRow, words: Texts) -> str:
    if row.lowest is None or row.highest is None:
        return ""
    low, high = f"{row.lowest:.3g}", f"{row.highest:.3g}"
    measured = low if low == high else words("range", low=low, high=high)
    return f"{measured} ({words('inside' if row.inside else 'outside')})"


def _name(record: TrialRecord) -> str:
    return f"{record.trial_id} {record.label or ''}".strip()


def _figure(value: float | None, form: str) -> str:
    return "" if value is None or not math.isfinite(value) else format(value, form)
