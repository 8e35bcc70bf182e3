"""When each trial crossed the targets that the default config sets."""

from __future__ import annotations

import math

from sweeps.confirm.convergence import PERCENTS, Crossing, Moment, convergence
from sweeps.confirm.speed_up import TARGET_PERCENT, speed_up
from sweeps.report.data import RunData
from sweeps.report.html import Child, Html, cell, own, tag
from sweeps.report.trial_marks import figure, kind, shown_speed
from sweeps.report.words import Words
from sweeps.trials.record import TrialRecord


def convergence_table(data: RunData, words: Words) -> Html:
    """A row for each trial of the search, the best first; why there are no targets where there are none."""
    return tag(
        "section",
        tag("h2", words("convergence"), id="convergence-title"),
        _table(data, words) if data.targets.undefined is None else _none(data, words),
        id="convergence",
        aria_labelledby="convergence-title",
    )


def _none(data: RunData, words: Words) -> Html:
    return tag("p", words("no_targets"), " ", tag("span", data.targets.undefined, lang="en", dir="ltr"), class_="quiet")


def _table(data: RunData, words: Words) -> Html:
    targets = ", ".join(f"{percent} %: {figure(data.targets.objective_at(percent))}" for percent in PERCENTS)
    ranked = sorted(
        (record for record in data.records if record.role in ("trial", "control")),
        key=lambda record: (data.ranks.get(record.trial_id, len(data.records)), record.trial_id),
    )
    heads = [
        words("trial"),
        words("objective"),
        *(words("epochs_to", percent=percent) for percent in PERCENTS),
        words("updates_to", percent=TARGET_PERCENT),
        words("seconds_to", percent=TARGET_PERCENT),
        words("speed_up"),
    ]
    return tag(
        "div",
        tag("p", words("convergence_note", targets=targets)),
        tag(
            "div",
            tag(
                "table",
                tag("caption", words("convergence_caption"), class_="unseen"),
                tag("thead", tag("tr", (tag("th", name, scope="col") for name in heads))),
                tag("tbody", (_row(data, words, record) for record in ranked)),
                class_="sortable",
            ),
            class_="scroll tall",
            tabindex="0",
            role="region",
            aria_labelledby="convergence-title",
        ),
    )


def _row(data: RunData, words: Words, record: TrialRecord) -> Html:
    curve = data.curves[record.trial_id]
    found = convergence(curve, data.targets)
    last = found.to(TARGET_PERCENT)
    default = None if data.default is None else data.curves[data.default.trial_id]
    speed = None if default is None else speed_up(curve, default, data.targets)
    label = None if record.label is None else tag("span", " ", own(record.label), class_="quiet")
    cells: list[tuple[Child, float | None]] = [
        (figure(record.objective), record.objective),
        *(_epochs(words, found.to(percent)) for percent in PERCENTS),
        _moment(last.at, "updates"),
        _moment(last.at, "seconds"),
        ("", None) if speed is None else (shown_speed(words, speed), speed.low),
    ]
    return tag(
        "tr",
        tag("th", record.trial_id, label, scope="row", data_sort=record.trial_id),
        (tag("td", cell(text), data_sort="" if value is None else f"{value:.6g}") for text, value in cells),
        class_=f"trial {kind(data, record)}",
        data_trial=record.trial_id,
    )


def _epochs(words: Words, crossing: Crossing) -> tuple[Child, float | None]:
    """Epochs to the target, or the bound that is known of them with its reason."""
    if crossing.at is not None:
        mark = f" {words('provisional')}" if crossing.provisional else ""
        return f"{crossing.at.epochs:.2f}{mark}", crossing.at.epochs
    if crossing.censored_at is None:
        return "", None
    at = crossing.censored_at.epochs
    if crossing.censored == "left":
        return f"≤ {at:.2f}", at
    reason = words.known(f"ending_{crossing.reason}", crossing.reason or "")
    return [own(f"> {at:.4g}"), " ", tag("span", reason, class_="quiet")], 1e6 + at


def _moment(at: Moment | None, name: str) -> tuple[Child, float | None]:
    value = math.nan if at is None else getattr(at, name)
    return (f"{value:.0f}", value) if math.isfinite(value) else ("", None)
