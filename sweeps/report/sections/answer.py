"""The first screen: which config, is it better, how sure, how much faster, at what cost, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sweeps.common.program import command as command_line
from sweeps.confirm.confirmation import judged_runs
from sweeps.confirm.verdict import Verdict
from sweeps.report.charts.interval import interval_picture
from sweeps.report.data import Chosen, RunData
from sweeps.report.html import Child, Html, join, marked, own, tag
from sweeps.report.trial_marks import clock, figure, hours, shown_speed, value_text
from sweeps.report.words import Words

DEFAULT_OUTPUT = "runs"


def answer(data: RunData, words: Words) -> Html:
    """Six cards under one sentence."""
    return tag(
        "section",
        tag("h2", headline(data, words), id="answer-title", class_=f"headline {_tone(data)}"),
        tag(
            "div",
            _card(words("which"), _which(data, words), name="which"),
            _card(words("better"), _better(data, words), name="better"),
            _card(words("sure"), _sure(data, words), name="sure"),
            _card(words("faster"), _faster(data, words), name="faster"),
            _card(words("spent"), _spent(data, words), name="spent"),
            _card(words("next"), _next(data, words), name="next"),
            class_="cards",
        ),
        _in_full(data, words),
        id="answer",
        aria_labelledby="answer-title",
    )


def headline(data: RunData, words: Words) -> str:
    """The whole answer in one sentence."""
    if data.request.space.controls:
        return words("headline_controls", trials=len(data.records))
    if data.chosen is None:
        return words("headline_running_none" if data.state.running else "headline_none")
    if data.verdict is not None and data.verdict.word != "unconfirmed":
        return words("headline_" + data.verdict.word.replace(" ", "_"))
    if data.state.word in ("interrupted", "failed"):
        return words("headline_interrupted", ended=data.ended, trials=data.request.trials)
    if data.state.running:
        return words("headline_running", ended=data.ended, trials=data.request.trials)
    return words("headline_default" if data.chosen.is_default else "headline_unconfirmed")


def verdict_word(verdict: Verdict | None, words: Words) -> str:
    """The verdict in a word or two."""
    word = "unconfirmed" if verdict is None else verdict.word
    return words("verdict_" + word.replace(" ", "_"))


def search_difference_percent(data: RunData) -> float | None:
    """The search's best against its default, one seed each; negative is better."""
    best, default = data.best, data.default
    if best is None or default is None or best is default or not best.objective or not default.objective:
        return None
    change = data.sign * 100 * (best.objective / default.objective - 1)
    return change if math.isfinite(change) else None


def next_command(data: RunData) -> str | None:
    """The command that goes on from here; None where nothing is left to run."""
    if data.state.word in ("interrupted", "failed") or (data.state.word == "budget" and data.chosen is None):
        return _command(data, "resume")
    if data.state.running or data.chosen is None or data.request.space.controls:
        return None
    word = "unconfirmed" if data.verdict is None else data.verdict.word
    if word == "unconfirmed":
        return None if data.chosen.is_default else _command(data, "confirm")
    if word == "better":
        return _command(data, "export", " --to native -o best.yaml")
    return _command(data, "confirm") if word == "undecided" and data.verdict and data.verdict.next_look else None


def _command(data: RunData, command: str, rest: str = "") -> str:
    output = str(data.folder.path.parent)
    where = "" if output == DEFAULT_OUTPUT else f" --output {output}"
    return command_line(f"{command} {data.folder.name}{where}{rest}")


def _tone(data: RunData) -> str:
    if data.verdict is not None and data.verdict.word == "better":
        return "good"
    if data.request.space.controls:
        return "settled"
    return "open" if data.verdict is None or data.verdict.word in ("undecided", "unconfirmed") else "settled"


def _card(title: str, *children: Child, name: str) -> Html:
    return tag("div", tag("h3", title), *children, class_="card", id=f"card-{name}")


def _which(data: RunData, words: Words) -> Html:
    chosen = data.chosen
    if chosen is None:
        return tag("p", words("no_control_to_take" if data.request.space.controls else "none_to_take"))
    beside, beside_name = _beside(data, words, chosen)
    rows = [
        tag(
            "tr",
            tag("th", own(name), scope="row"),
            tag("td", own(value_text(value)), class_="big"),
            tag("td", own(value_text(beside[name])) if name in beside else "", class_="quiet"),
        )
        for name, value in chosen.params.items()
    ]
    take = words("keep" if chosen.is_default else "take")
    head = tag("tr", (tag("th", word, scope="col") for word in (words("parameter"), take, beside_name)))
    record = chosen.record
    where = None
    if record is not None and record.objective is not None:
        where = tag(
            "p",
            words("chosen_from", trial=record.trial_id, objective=figure(record.objective), epoch=record.best_epoch),
            class_="quiet",
        )
    caption = tag("caption", words("which_caption"), class_="unseen")
    return join(tag("table", caption, tag("thead", head), tag("tbody", rows), class_="config"), where)


def _beside(data: RunData, words: Words, chosen: Chosen) -> tuple[Mapping[str, object], str]:
    """The config that the chosen one is held against, and its name: the default, or the search's best beside that."""
    if not chosen.is_default:
        return ({} if data.default is None else data.default.params), words("default")
    if data.best is None or data.best is data.default:
        return {}, ""
    return data.best.params, words("search_best", trial=data.best.trial_id)


def _better(data: RunData, words: Words) -> Html:
    verdict = data.verdict
    if data.request.space.controls:
        return tag("p", words("controls_not_compared"))
    badge = tag("p", verdict_word(verdict, words), class_=f"badge {_tone(data)}")
    if verdict is not None and verdict.difference_percent is not None and math.isfinite(verdict.difference_percent):
        return join(badge, tag("p", _change(words, verdict.difference_percent, "on_test", trial=_finalist(data))))
    change = search_difference_percent(data)
    if change is None:
        both = data.best is not None and data.best is data.default
        return join(badge, tag("p", words("default_is_best" if both else "nothing_to_compare")))
    best = "" if data.best is None else data.best.trial_id
    return join(badge, tag("p", _change(words, change, "in_search", trial=best)))


def _change(words: Words, percent: float, where: str, trial: str) -> str:
    amount = words("lower" if percent < 0 else "higher", percent=f"{abs(percent):.1f}")
    return words(where, amount=amount, trial=trial)


def _finalist(data: RunData) -> str:
    """The trial that was judged: not always the search's first, because fresh seeds chose among its best."""
    finalist, _, _ = judged_runs(data.records)
    return finalist or ("" if data.best is None else data.best.trial_id)


def _sure(data: RunData, words: Words) -> Html:
    verdict = data.verdict
    if verdict is None or verdict.look is None:
        return tag("p", words("controls_not_tested" if data.request.space.controls else "not_tested"))
    lines: list[Child] = [interval_picture(verdict, words)]
    if verdict.interval_percent is not None:
        low, high = verdict.interval_percent
        lines.append(
            tag(
                "p",
                words("interval", level=f"{100 * (1 - verdict.look.alpha):g}", low=f"{low:+.1f}", high=f"{high:+.1f}"),
            )
        )
    shown = ", ".join(str(pair.seed) for pair in verdict.pairs[: verdict.look.seeds])
    lines.append(tag("p", words("seeds_judged", seeds=verdict.look.seeds, shown=shown), class_="quiet"))
    return join(lines)


def _faster(data: RunData, words: Words) -> Html:
    verdict = data.verdict
    if data.request.space.controls:
        return tag("p", words("speed_of_controls"))
    if verdict is not None and verdict.speed_up is not None:
        speed = verdict.speed_up
        value = f"{speed.value:.2f}×" if speed.value is not None else str(speed)
        spread = (
            words("speed_interval", low=f"{speed.low:.2f}×", high=f"{speed.high:.2f}×", seeds=speed.seeds)
            if speed.value is not None and speed.seeds > 1
            else words("speed_bounds", censored=speed.censored, seeds=speed.seeds)
        )
        means = tag("p", words("speed_means"), class_="quiet")
        unsure = tag("p", words("speed_not_shown")) if speed.low <= 1 <= speed.high else None
        return join(tag("p", own(value), class_="big"), tag("p", spread), unsure, means)
    if data.targets.undefined is not None:
        why = tag("bdi", f"({data.targets.undefined})", class_="quiet", lang="en")
        return tag("p", words("no_speed"), " ", why)
    speed_search = data.search_speed_up
    if speed_search is None:
        return tag("p", words("no_speed"))
    shown = shown_speed(words, speed_search)
    return join(tag("p", own(shown), class_="big"), tag("p", words("speed_unclaimed")))


def _spent(data: RunData, words: Words) -> Html:
    cost = data.cost
    lines = [
        tag("p", hours(words, cost.device_hours, cost.device), class_="big"),
        tag("p", words("wall_clock", time=clock(words, cost.wall_seconds), trials=len(data.records))),
    ]
    if cost.stopped:
        saved = words(
            "saved",
            stopped=cost.stopped,
            trials=len(data.search),
            hours=hours(words, cost.saved_hours, cost.device),
            share=f"{100 * cost.saved_share:.0f}",
        )
        lines.append(tag("p", saved))
    else:
        lines.append(tag("p", words("nothing_saved"), class_="quiet"))
    return join(lines)


def _next(data: RunData, words: Words) -> Html:
    command = next_command(data)
    return join(
        tag("p", marked(words(_next_key(data), run=data.folder.name))),
        tag("pre", tag("code", command), dir="ltr", tabindex="0") if command is not None else None,
    )


def _next_key(data: RunData) -> str:
    if data.state.word in ("interrupted", "failed"):
        return "next_resume"
    if data.state.running:
        return "next_wait"
    if data.request.space.controls:
        return "next_controls"
    if data.chosen is None:
        return "next_none"
    word = "unconfirmed" if data.verdict is None else data.verdict.word
    if word == "unconfirmed" and data.chosen.is_default:
        return "next_default"
    if word == "undecided" and data.verdict is not None and data.verdict.next_look is None:
        return "next_no_look"
    return "next_" + word.replace(" ", "_")


def _in_full(data: RunData, words: Words) -> Html | None:
    if data.verdict is None:
        return None
    return tag(
        "details",
        tag("summary", words("verdict_in_full")),
        tag("p", marked(data.verdict.sentence(words.lang))),
    )
