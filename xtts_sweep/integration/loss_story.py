"""The three-digit-loss story beside a run: its bands behind the loss chart, and its tables under it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from sweeps.report import ExtraTable, LossBand
from sweeps.run.run import Run
from sweeps.run.trials_csv import convergence_by_trial
from sweeps.trials.record import TrialRecord, default_record
from xtts.diagnostics.loss_story import BANDS, BandRow, beside_the_bands, story_row, success_signs

Words = dict[str, str]

ENGLISH: Words = {
    "early": "early",
    "mid": "mid",
    "late": "late",
    "converged": "converged",
    "trial": "trial",
    "yes": "yes",
    "no": "no",
    "inside": "inside",
    "outside": "outside",
    "range": "{low} to {high}",
    "span": "{low:g}–{high:g}",
    "best": "best of the search",
    "default": "default",
    "bands": "The story's loss bands beside what was printed",
    "bands_note": "The bands name no epochs; each is taken for a quarter of training, in order. A printed loss is its "
    "weights times what is left to learn: to be inside or outside a band says what the weights are, not what was "
    "learned.",
    "signs": "The story's signs of success, trial by trial",
    "first_loss": "first loss",
    "digits": "under three digits",
    "steady_fall": "steady fall",
    "no_jumps": "no jumps",
    "no_crash": "no crash",
    "objective": "objective",
    "signs_note": "Under three digits from the first step; falling in three epochs of four and over all; no step far "
    "above its epoch's mean; nothing that is not finite. A config can show all four and learn less than one that does "
    "not: only the objective ranks.",
    "story": "The story, config by config",
    "worst": "worst single step",
    "to_target": "epochs to the target",
    "zeroed": "steps without a gradient",
    "not_reached": "not reached",
    "story_note": "First loss and worst step are weighted totals; a loss clipped by value has no gradient, so those "
    "steps teach nothing. The target is 90 % of what the first config learns.",
}
PERSIAN: Words = {
    "early": "آغاز",
    "mid": "میانه",
    "late": "پایان",
    "converged": "همگرا",
    "trial": "آزمایش",
    "yes": "بله",
    "no": "خیر",
    "inside": "درون",
    "outside": "بیرون",
    "range": "{low} تا {high}",
    "span": "{low:g} تا {high:g}",
    "best": "بهترین جست‌وجو",
    "default": "پیش‌فرض",
    "bands": "بازه‌های زیان در آن داستان، در کنار آنچه چاپ شد",
    "bands_note": "بازه‌ها دوره‌ای را نام نمی‌برند؛ هر کدام به‌ترتیب یک چهارم آموزش گرفته شده است. زیان چاپ‌شده وزن‌ها ضربدر "
    "آن چیزی است که هنوز آموخته نشده: درون یا بیرون بازه بودن از وزن‌ها می‌گوید، نه از یادگیری.",
    "signs": "نشانه‌های کامیابی در آن داستان، آزمایش به آزمایش",
    "first_loss": "نخستین زیان",
    "digits": "کمتر از سه رقم",
    "steady_fall": "کاهش پیوسته",
    "no_jumps": "بی جهش",
    "no_crash": "بی شکست",
    "objective": "تابع هدف",
    "signs_note": "از گام نخست کمتر از سه رقم؛ کاهش در سه دوره از هر چهار دوره و در مجموع؛ هیچ گامی بسیار بالاتر از "
    "میانگین دوره‌اش؛ هیچ مقدار نامتناهی. پیکربندی‌ای می‌تواند هر چهار را نشان دهد و کمتر از دیگری بیاموزد: "
    "تنها تابع هدف رتبه می‌دهد.",
    "story": "داستان، پیکربندی به پیکربندی",
    "worst": "بدترین گام",
    "to_target": "دوره تا هدف",
    "zeroed": "گام‌های بی‌گرادیان",
    "not_reached": "نرسید",
    "story_note": "نخستین زیان و بدترین گام جمع وزن‌دارند؛ زیانی که مقدارش بریده شده گرادیان ندارد، پس آن گام‌ها چیزی "
    "نمی‌آموزند. هدف ۹۰ درصد چیزی است که پیکربندی نخست می‌آموزد.",
}


def loss_bands(lang: str) -> tuple[LossBand, ...]:
    """The story's bands, a quarter of training each."""
    words = _words(lang)
    share = 1 / len(BANDS)
    return tuple(
        LossBand(
            f"{words[band.name]} {words['span'].format(low=band.low, high=band.high)}",
            band.low,
            band.high,
            place * share,
            place * share + share,
        )
        for place, band in enumerate(BANDS)
    )


def story_tables(run: Run, lang: str) -> tuple[ExtraTable, ...]:
    """Bands beside printed losses, signs of success by trial and, for controls, the story config by config."""
    words = _words(lang)
    ended = [r for r in run.records if r.reports and r.status is not None and r.role != "confirm"]
    if not ended:
        return ()
    log = run.request.space.controls  # a run of the story itself shows all of it
    tables = [replace(table, folded=not log) for table in (_bands_table(run, ended, words), _signs_table(ended, words))]
    if log:
        tables.insert(0, _story_table(run, ended, words))
    return tuple(tables)


def _story_table(run: Run, ended: Sequence[TrialRecord], words: Words) -> ExtraTable:
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
                f"{to_target:.2f}" if isinstance(to_target, float) else words["not_reached"],
                "" if row.zero_gradient_share is None else f"{row.zero_gradient_share:.1%}",
            )
        )
    head = tuple(words[key] for key in ("trial", "first_loss", "worst", "objective", "to_target", "zeroed"))
    return ExtraTable(words["story"], head, tuple(rows), words["story_note"])


def _bands_table(run: Run, ended: Sequence[TrialRecord], words: Words) -> ExtraTable:
    shown = {record.trial_id: _name(record) for record in ended}
    if not run.request.space.controls:
        named = {"default": default_record(run.records), "best": run.best}
        shown = {record.trial_id: f"{record.trial_id} {words[key]}" for key, record in named.items() if record}
    rows = [
        (shown[record.trial_id], *(_band(row, words) for row in beside_the_bands(record.reports)))
        for record in ended
        if record.trial_id in shown
    ]
    head = (words["trial"], *(band.name for band in loss_bands("fa" if words is PERSIAN else "en")))
    return ExtraTable(words["bands"], head, tuple(rows), words["bands_note"])


def _signs_table(ended: Sequence[TrialRecord], words: Words) -> ExtraTable:
    rows = []
    for record in ended:
        signs = success_signs(record.reports)
        marks = (signs.digits, signs.steady_fall, signs.no_jumps, signs.no_crash)
        first = story_row(record.reports).loss_first
        log = tuple(words["yes" if mark else "no"] for mark in marks)
        rows.append((_name(record), _figure(first, ".4g"), *log, _figure(record.objective, ".4f")))
    keys = ("trial", "first_loss", "digits", "steady_fall", "no_jumps", "no_crash", "objective")
    return ExtraTable(words["signs"], tuple(words[key] for key in keys), tuple(rows), words["signs_note"])


def _band(row: BandRow, words: Words) -> str:
    if row.lowest is None or row.highest is None:
        return ""
    low, high = f"{row.lowest:.3g}", f"{row.highest:.3g}"
    measured = low if low == high else words["range"].format(low=low, high=high)
    return f"{measured} ({words['inside' if row.inside else 'outside']})"


def _name(record: TrialRecord) -> str:
    return f"{record.trial_id} {record.label or ''}".strip()


def _figure(value: float | None, form: str) -> str:
    return "" if value is None or not math.isfinite(value) else format(value, form)


def _words(lang: str) -> Words:
    return PERSIAN if lang == "fa" else ENGLISH
