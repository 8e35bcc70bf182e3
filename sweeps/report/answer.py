"""The first screen: which config, is it better, how sure, how much faster, at what cost, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sweeps.common.budget import duration
from sweeps.common.program import command as command_line
from sweeps.confirm.verdict import Verdict
from sweeps.report.charts.confirmation import interval_picture
from sweeps.report.data import RunData
from sweeps.report.text import Words, marked, own
from sweeps.report.trial_marks import figure, hours, shown_speed, value_text
from sweeps.trials.record import TrialRecord

Line = tuple[object, str]
"""A paragraph and its class"""


@dataclass(frozen=True, slots=True)
class Config:
    """Values to take next to those that they are compared with."""

    head: Sequence[str]
    rows: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Card:
    """An answer: a table or a picture, paragraphs, and a command."""

    name: str
    lines: Sequence[Line] = ()
    config: Config | None = None
    picture: Markup | None = None
    command: str | None = None


def cards(data: RunData, words: Words) -> list[Card]:
    """The six answers."""
    return [part(data, words) for part in (_which, _better, _sure, _faster, _spent, _next)]


def headline(data: RunData, words: Words) -> str:
    """The whole answer in one sentence."""
    if data.config.space.controls:
        return words("headline_controls", trials=len(data.records))
    if data.recommended is None:
        return words("headline_running_none" if data.state.running else "headline_none")
    if data.verdict is not None and data.verdict.word != "unconfirmed":
        return words("headline_" + data.verdict.word.replace(" ", "_"))
    if data.state.word in ("interrupted", "failed"):
        return words("headline_interrupted", ended=data.ended, trials=data.run.trials)
    if data.state.running:
        return words("headline_running", ended=data.ended, trials=data.run.trials)
    return words("headline_default" if data.keeps_default else "headline_unconfirmed")


def verdict_word(verdict: Verdict | None, words: Words) -> str:
    """The verdict in a word or two."""
    word = "unconfirmed" if verdict is None else verdict.word
    return words("verdict_" + word.replace(" ", "_"))


def search_difference_percent(data: RunData) -> float | None:
    """The search's best against its default, one seed each; negative is better."""
    best, default = data.best, data.default
    if best is None or default is None or best is default or not best.objective or not default.objective:
        return None
    change = data.sign * 100 * (best.objective - default.objective) / abs(default.objective)
    return change if math.isfinite(change) else None


def next_command(data: RunData) -> str | None:
    """The command to run next; None where there is none."""
    if data.state.word in ("interrupted", "failed") or (data.state.word == "budget" and data.recommended is None):
        return _command(data, "resume")
    if data.state.running or data.recommended is None or data.config.space.controls:
        return None
    word = "unconfirmed" if data.verdict is None else data.verdict.word
    if word == "unconfirmed":
        return None if data.keeps_default else _command(data, "confirm")
    if word == "better":
        return _command(data, "export", " --to native -o best.yaml")
    return _command(data, "confirm") if word == "undecided" and data.verdict and data.verdict.next_look else None


def _command(data: RunData, command: str, rest: str = "") -> str:
    return command_line(f"{command} {data.run.folder.in_command}{rest}")


def tone(data: RunData) -> str:
    """The colour of the answer: good, settled or open."""
    if data.verdict is not None and data.verdict.word == "better":
        return "good"
    if data.config.space.controls:
        return "settled"
    return "open" if data.verdict is None or data.verdict.word in ("undecided", "unconfirmed") else "settled"


def _which(data: RunData, words: Words) -> Card:
    recommended = data.recommended
    if recommended is None:
        none = words("no_control_to_take" if data.config.space.controls else "none_to_take")
        return Card("which", [(none, ""), *_of_search(data, words, "require")])
    other, other_name = _compared_with(data, words, recommended)
    take = words("keep" if data.keeps_default else "take")
    rows = [
        (name, value_text(value), value_text(other[name]) if name in other else "")
        for name, value in recommended.params.items()
    ]
    lines: list[Line] = []
    if recommended.objective is not None:
        about = {"objective": figure(recommended.objective), "epoch": recommended.best_epoch}
        lines.append((words("chosen_from", trial=recommended.trial_id, **about), "quiet"))
    lines += _of_search(data, words, "require", "memory")
    return Card("which", lines, Config((words("parameter"), take, other_name), rows))


def _compared_with(data: RunData, words: Words, recommended: TrialRecord) -> tuple[Mapping[str, object], str]:
    """The config that the recommended one is compared with, and its name: the default, or the search's best."""
    if not data.keeps_default:
        return ({} if data.default is None else data.default.params), words("default")
    if data.best is None or data.best is data.default:
        return {}, ""
    return data.best.params, words("search_best", trial=data.best.trial_id)


def _better(data: RunData, words: Words) -> Card:
    verdict = data.verdict
    if data.config.space.controls:
        return Card("better", [(words("controls_not_compared"), "")])
    change = search_difference_percent(data)
    if verdict is not None and verdict.difference_percent is not None and math.isfinite(verdict.difference_percent):
        judged = "" if data.finalist is None else data.finalist.trial_id
        said = _change(words, verdict.difference_percent, "on_test", trial=judged)
    elif change is not None:
        said = _change(words, data.sign * change, "in_search", trial="" if data.best is None else data.best.trial_id)
    else:
        both = data.best is not None and data.best is data.default
        said = words("default_is_best" if both else "nothing_to_compare")
    return Card("better", [(verdict_word(verdict, words), f"badge {tone(data)}"), (said, "")])


def _change(words: Words, percent: float, where: str, trial: str) -> str:
    amount = words("lower" if percent < 0 else "higher", percent=f"{abs(percent):.1f}")
    return words(where, amount=amount, trial=trial)


def _sure(data: RunData, words: Words) -> Card:
    verdict = data.verdict
    if verdict is None or verdict.look is None:
        return Card("sure", [(words("controls_not_tested" if data.config.space.controls else "not_tested"), "")])
    lines: list[Line] = []
    if verdict.interval_percent is not None:
        low, high = (f"{end:+.1f}" for end in verdict.interval_percent)
        lines.append((words("interval", level=f"{verdict.level_percent:.3g}", low=low, high=high), ""))
    shown = ", ".join(str(pair.seed) for pair in verdict.pairs[: verdict.look.seeds])
    lines.append((words("seeds_judged", seeds=verdict.look.seeds, shown=shown), "quiet"))
    if len(verdict.sequence) > 1:
        lines.append((words("looks_note"), "quiet"))
    return Card("sure", lines, picture=interval_picture(verdict, words))


def _faster(data: RunData, words: Words) -> Card:
    if data.config.space.controls:
        return Card("faster", [(words("speed_of_controls"), "")])
    speed = None if data.verdict is None else data.verdict.speed_up
    if speed is not None:
        ends = {"low": f"{speed.low:.2f}×", "high": f"{speed.high:.2f}×"}
        if speed.value is not None and speed.seeds > 1:
            spread = words("speed_interval", **ends, seeds=speed.seeds)
        else:
            spread = words("speed_bounds", censored=speed.censored, seeds=speed.seeds)
        lines: list[Line] = [(own(f"{speed.value:.2f}×" if speed.value is not None else speed), "big"), (spread, "")]
        if speed.reached is not None and speed.default_reached is not None:
            both = {"reached": speed.reached, "default_reached": speed.default_reached, "seeds": speed.seeds}
            lines.append((words("speed_reached", **both), ""))
        lines += [(words("speed_not_shown"), "")] if speed.low <= 1 <= speed.high else []
        return Card("faster", [*lines, (words("speed_means"), "quiet")])
    if data.targets.undefined is not None:
        why = Markup('{} <bdi class="quiet" lang="en">({})</bdi>').format(words("no_speed"), data.targets.undefined)
        return Card("faster", [(why, "")])
    if data.search_speed_up is None:
        return Card("faster", [(words("no_speed"), "")])
    return Card("faster", [(own(shown_speed(words, data.search_speed_up)), "big"), (words("speed_unclaimed"), "")])


def _spent(data: RunData, words: Words) -> Card:
    cost = data.cost
    time = words("wall_clock", time=duration(cost.wall_seconds, words.lang), trials=len(data.records))
    saved: Line = (words("nothing_saved"), "quiet")
    if cost.stopped:
        spared, share = hours(words, cost.saved_hours, cost.device), f"{100 * cost.saved_share:.0f}"
        saved = (words("saved", stopped=cost.stopped, trials=len(data.search), hours=spared, share=share), "")
    lines: list[Line] = [(hours(words, cost.device_hours, cost.device), "big"), (time, ""), saved]
    compared = data.run.comparison
    if compared is not None and compared.break_even is not None:
        lines.append((words("pays", trainings=compared.break_even.trainings), ""))
    return Card("spent", lines + _of_search(data, words, "saved"))


def _of_search(data: RunData, words: Words, *kinds: str) -> list[Line]:
    """What came of the options of the search, as lines of a card."""
    return [
        (f"{label}: {text}", "quiet") for kind, label, text in data.search_summary.lines(words.lang) if kind in kinds
    ]


def _next(data: RunData, words: Words) -> Card:
    return Card("next", [(marked(words(_next_key(data), run=data.run.folder.name)), "")], command=next_command(data))


def _next_key(data: RunData) -> str:
    if data.state.word in ("interrupted", "failed"):
        return "next_resume"
    if data.state.running:
        return "next_wait"
    if data.config.space.controls:
        return "next_controls"
    if data.recommended is None:
        return "next_none"
    word = "unconfirmed" if data.verdict is None else data.verdict.word
    if word == "unconfirmed" and data.keeps_default:
        return "next_default"
    if word == "undecided" and data.verdict is not None and data.verdict.next_look is None:
        return "next_no_look"
    return "next_" + word.replace(" ", "_")
