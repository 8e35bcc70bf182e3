"""How trials and their figures are shown everywhere: a trial's class, its line of text, numbers with units."""

from __future__ import annotations

from markupsafe import Markup

from sweeps.confirm.plan import CONFIRMATION
from sweeps.confirm.speed_up import SpeedUp
from sweeps.report.charts.svg import shape
from sweeps.report.data import RunData
from sweeps.report.text import Words
from sweeps.trials.record import TrialRecord

HUES = 8
STATUSES = ("finished", "stopped", "diverged", "failed", "budget", "running")


def kind(data: RunData, record: TrialRecord) -> str:
    """best, default, finalist (where it is neither), trial, control, confirm or rival; in a run of controls each has a
    hue of its own."""
    if data.config.space.controls:
        place = data.records.index(record)
        return f"hue-{place % HUES}" + (" again" if place >= HUES else "")
    if record is data.best:
        return "best"
    if record is data.default:
        return "default"
    if record is data.finalist:
        return "finalist"
    return "confirm" if record.origin == CONFIRMATION else record.role


def front_last(data: RunData, records: list[TrialRecord]) -> list[TrialRecord]:
    """Records in the order of drawing: the most important come last and are on top."""
    order = {"confirm": 0, "trial": 1, "rival": 2, "control": 3, "default": 4, "finalist": 5, "best": 6}
    return sorted(records, key=lambda record: order.get(kind(data, record), 3))


def group(data: RunData, words: Words, record: TrialRecord, *children: object) -> Markup:
    """What a chart draws of one trial, named by its first child."""
    title = shape("title", summary(data, words, record))
    return shape("g", title, children, class_=f"trial {kind(data, record)}", data_trial=record.trial_id)


def summary(data: RunData, words: Words, record: TrialRecord) -> str:
    """A trial in one line: id, config, objective, how it ended."""
    name = record.trial_id if record.label is None else f"{record.trial_id} {record.label}"
    parts = [name, config_text(record)]
    if record.objective is None:
        parts.append(words("no_objective"))
    else:
        parts.append(words("objective_at", objective=figure(record.objective), epoch=record.best_epoch))
    parts.append(words("ended_at", status=status(words, record), epoch=record.epochs))
    return " · ".join(part for part in parts if part)


def config_text(record: TrialRecord) -> str:
    """The searched values in one line."""
    return ", ".join(f"{name} {value_text(value)}" for name, value in {**record.coordinates, **record.params}.items())


def status(words: Words, record: TrialRecord) -> str:
    """How a trial ended, in a word."""
    given = record.status or "running"
    shown = words.known(f"status_{given}", given)
    return shown if record.feasible else words("status_infeasible", status=shown)


def value_text(value: object) -> str:
    """A parameter's value for people."""
    if value is None:
        return "off"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def figure(value: float | None) -> str:
    """An objective for people."""
    return "" if value is None else f"{value:.4f}"


def hours(words: Words, value: float, device: str) -> str:
    """Hours of a device (gpu or cpu) for people: minutes where they are few."""
    if value >= 1:
        return words(f"{device}_hours", hours=f"{value:.3g}")
    return words(f"{device}_minutes", minutes=f"{60 * value:.2g}")


def shown_speed(words: Words, speed: SpeedUp) -> str:
    """A speed-up for people: a number, a bound, or that it is not known."""
    if speed.value is not None:
        return f"{speed.value:.2f}×"
    bound, _, number = speed.bound.rpartition(" ")
    return words(bound.replace(" ", "_"), number=f"{number}×") if bound else words("unknown")
