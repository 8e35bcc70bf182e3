"""All trials in one table, and the filters that act on it and on every chart."""

from __future__ import annotations

from sweeps.report.coordinates import number
from sweeps.report.data import RunData
from sweeps.report.html import Html, own, tag
from sweeps.report.trial_marks import figure, kind, status, value_text
from sweeps.report.words import Words
from sweeps.trials.record import TrialRecord

STATUSES = ("running", "finished", "stopped", "diverged", "failed", "budget")
ROLES = ("trial", "control", "confirm", "rival")
FEWEST_FOR_BEST = 10


def filters(data: RunData, words: Words) -> Html:
    """Which trials are shown: by how they ended, by role, by rank, by any word in their row."""
    statuses = {record.status or "running" for record in data.records}
    roles = {record.role for record in data.records}
    return tag(
        "form",
        _boxes(words, "status", words("filter_status"), _in_order(STATUSES, statuses)),
        _boxes(words, "role", words("filter_role"), _in_order(ROLES, roles)) if len(roles) > 1 else None,
        tag(
            "label",
            words("filter_best"),
            " ",
            tag(
                "select",
                tag("option", words("all"), value=""),
                (tag("option", words("best_n", n=n), value=n) for n in (3, 5, 10, 25) if n < len(data.ranks)),
                name="best",
            ),
        ),
        tag("label", words("filter_text"), " ", tag("input", type="search", name="text", autocomplete="off", size=14)),
        tag("button", words("filter_reset"), type="reset"),
        tag("p", tag("output", id="shown", data_text=words("shown", shown="{shown}", of="{of}")), class_="quiet"),
        id="filters",
        class_="controls needs-script",
        aria_label=words("filters"),
    )


def trials_table(data: RunData, words: Words) -> Html:
    """A row for each trial, the search's best first."""
    columns = data.request.columns
    order = {record.trial_id: place for place, record in enumerate(data.records)}
    rows = sorted(
        data.records, key=lambda record: (data.ranks.get(record.trial_id, len(order) + 1), order[record.trial_id])
    )
    roles = len({record.role for record in data.records}) > 1
    seeds = len({record.seed for record in data.records}) > 1
    heads = [
        words("trial"),
        words("rank"),
        *([words("role")] if roles else []),
        words("status"),
        *columns,
        words("epochs"),
        words("objective"),
        words("at_epoch"),
        words("loss"),
        *([words("seed")] if seeds else []),
    ]
    return tag(
        "section",
        tag("h2", words("trials"), id="trials-title"),
        tag("p", words("trials_note"), class_="quiet needs-script"),
        tag(
            "div",
            tag(
                "table",
                tag("caption", words("trials_caption"), class_="unseen"),
                tag("thead", tag("tr", (tag("th", name, scope="col") for name in heads))),
                tag("tbody", (_row(data, words, record, columns, roles, seeds) for record in rows)),
                class_="sortable",
                id="trials-table",
            ),
            class_="scroll tall",
            tabindex="0",
            role="region",
            aria_labelledby="trials-title",
        ),
        id="trials",
        aria_labelledby="trials-title",
    )


def _row(data: RunData, words: Words, record: TrialRecord, columns: list[str], role: bool, seed: bool) -> Html:
    values = {**record.params, **record.coordinates}
    shown = kind(data, record)
    notes = [words("kind_best")] if record is data.best else []
    notes += [words("kind_default")] if record is data.default else []
    cells = [
        None,
        data.ranks.get(record.trial_id, ""),
        *([words.known(f"role_{record.role}", record.role)] if role else []),
        tag("span", status(words, record), title=record.stop_reason or None),
        *(own(value_text(values[name])) if name in values else "" for name in columns),
        record.epochs,
        figure(record.objective),
        record.best_epoch or "",
        _short(number(record.last_report.get("loss"))),
        *([record.seed] if seed else []),
    ]
    label = None if record.label is None else tag("span", " ", own(record.label))
    head = tag(
        "th",
        tag("button", record.trial_id, type="button", class_="pin", aria_pressed="false"),
        tag("span", " ", ", ".join(notes), class_="quiet"),
        label,
        scope="row",
        data_sort=record.trial_id,
    )
    return tag(
        "tr",
        (head if cell is None else tag("td", cell if not isinstance(cell, float) else f"{cell:g}") for cell in cells),
        class_=f"trial {shown}",
        data_trial=record.trial_id,
        data_status=record.status or "running",
        data_role=record.role,
        data_rank=data.ranks.get(record.trial_id),
    )


def _boxes(words: Words, name: str, title: str, values: list[str]) -> Html:
    return tag(
        "fieldset",
        tag("legend", title),
        (
            tag(
                "label",
                tag("input", type="checkbox", name=name, value=value, checked=True),
                " ",
                words.known(f"{name}_{value}", value),
            )
            for value in values
        ),
    )


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _in_order(known: tuple[str, ...], found: set[str]) -> list[str]:
    return [*(one for one in known if one in found), *sorted(found.difference(known))]
