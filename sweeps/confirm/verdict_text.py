"""A verdict in plain words, and the notes that go with it; the sentences are in the message catalogues."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from messages import LANGUAGES, Message, message
from sweeps.confirm.decision import HOPELESS
from sweeps.confirm.explain.learning_rate import RateComparison
from sweeps.confirm.paired_test import MOST_SEEDS
from sweeps.confirm.speed_up import SpeedUpOverSeeds
from sweeps.confirm.verdict import Note, Verdict

Side = Literal["finalist", "default"]
_SPANS = {
    False: ("verdict.span_lower", "verdict.span_higher", "verdict.span_both"),
    True: ("verdict.span_unit_lower", "verdict.span_unit_higher", "verdict.span_unit_both"),
}
_DIRECTIONS = {"better": -1, "worse": 1, "no difference": 0}


@dataclass(frozen=True, slots=True)
class MeasuredDifference:
    """Finalist against default on another metric (lower is better), in per cent with its interval."""

    name: str
    percent: float
    low: float
    high: float
    name_fa: str = ""


def disagreement_notes(verdict: Verdict, measures: Sequence[MeasuredDifference]) -> tuple[Note, ...]:
    """A note for each metric whose interval clearly contradicts the verdict."""
    notes = []
    for measure in measures:
        direction = -1 if measure.high < 0 else 1 if measure.low > 0 else 0
        expected = _DIRECTIONS.get(verdict.word)
        if expected is None or direction in (0, expected):
            continue
        names = {"fa": measure.name_fa or measure.name}
        fields = {"amount": amount(measure.percent), "span": span(measure.low, measure.high), "word": word(verdict)}
        texts = {
            lang: message("verdict.disagrees", metric=names.get(lang, measure.name), **fields).text(lang)
            for lang in LANGUAGES
        }
        notes.append(Note(texts))
    return tuple(notes)


def rival_note(name: str, rival: Verdict, against: Side = "finalist") -> Note | None:
    """What a baseline's verdict against the recommended config means; None if it is worse or nothing was tested."""
    about = {"name": name, "side": message(f"verdict.side.{against}")}
    if rival.word == "better":
        return Note.of(message("verdict.baseline_better", **about, amount=amount(rival.difference_percent or 0.0)))
    if rival.word == "no difference":
        return Note.of(message("verdict.baseline_as_good", **about, margin=rival.margin_percent))
    if rival.word != "undecided" or rival.look is None:
        return None
    seeds = rival.look.seeds
    if rival.difference_percent is None or rival.interval_percent is None:
        return Note.of(message("verdict.baseline_undecided", **about, seeds=seeds))
    measured = {"amount": amount(rival.difference_percent), "span": span(*rival.interval_percent)}
    return Note.of(message("verdict.baseline_undecided_measured", **about, seeds=seeds, **measured))


def explanation(name: str, without: Verdict) -> Note:
    """What the finalist without its change of one parameter says of that change; `without` is against the finalist."""
    if without.word == "worse":
        return Note.of(message("verdict.change_carries", name=name, amount=difference(without)))
    if without.word in ("no difference", "better"):
        return Note.of(message("verdict.change_not_needed", name=name))
    return Note.of(message("verdict.change_unclear", name=name, seeds=without.look.seeds if without.look else 0))


def learning_rate_note(rates: RateComparison, verdict: Verdict) -> Note | None:
    """How much of a better finalist's gain is learning rate; None where the rate was not searched."""
    share = rates.share_percent(verdict)
    if share is None:
        return None
    tried = ", ".join(f"{one.rate:.2g}" for one in sorted(rates.probe, key=lambda one: one.rate))
    if rates.best.is_own:
        return Note.of(message("verdict.rate_none", rates=tried))
    if rates.carried is None or rates.left is None or rates.left.look is None or rates.left.difference is None:
        return None
    shown = {"rate": rates.best.rate, "rates": tried, "amount": difference(rates.carried)}
    left, seeds = difference(rates.left), rates.left.look.seeds
    if rates.left.word == "better":
        return Note.of(message("verdict.rate_part", **shown, left=left, share=share))
    if rates.left.word == "undecided" and rates.left.interval is not None:
        between = interval_span(rates.left, rates.left.interval)
        return Note.of(message("verdict.rate_unclear", **shown, left=left, share=share, span=between, seeds=seeds))
    return Note.of(message("verdict.rate_all", **shown, left=left, seeds=seeds))


def sentence(verdict: Verdict, lang: str = "en") -> str:
    """The verdict for people: the word, difference, interval and seeds, speed-up, what to do; then its notes."""
    parts = [part.text(lang) for part in _parts(verdict)]
    return " ".join([*parts, *(note.text(lang) for note in verdict.notes)])


def _parts(verdict: Verdict) -> list[Message]:
    """The sentences of a verdict, one message each."""
    if verdict.word == "unconfirmed":
        return [message("verdict.unconfirmed", word=word(verdict))]
    if verdict.look is None:
        first = verdict.looks[0].seeds
        return [message("verdict.too_early", word=word(verdict), pairs=len(verdict.pairs), seeds=first)]
    seeds = verdict.look.seeds
    judged = verdict.pairs[:seeds]
    diverged = {
        "finalist": sum(not math.isfinite(pair.finalist) for pair in judged),
        "default": sum(not math.isfinite(pair.default) for pair in judged),
    }
    parts = [message("verdict.answer", word=word(verdict), measured=_measured(verdict, seeds))]
    if any(diverged.values()):
        parts.append(message("verdict.diverged", **diverged, seeds=seeds))
    elif verdict.reason == HOPELESS:
        parts.append(message("verdict.hopeless", gain=verdict.margin_percent))
    if verdict.word == "undecided" and verdict.power_observed is not None and verdict.sd_percent is not None:
        power = {"gain": verdict.gain_percent, "power": verdict.power_observed, "sd": verdict.sd_percent}
        parts.append(message("verdict.power", **power))
    if verdict.word in ("worse", "no difference"):
        parts.append(message("verdict.keep"))
    if verdict.word == "undecided":
        parts.append(_undecided(verdict, finalist_diverged=diverged["finalist"] > 0))
    if verdict.speed_up is not None:
        parts.append(_speed(verdict.speed_up))
    return parts


def _measured(verdict: Verdict, seeds: int) -> Message:
    if verdict.look is None or verdict.difference is None or verdict.interval is None:
        return message("verdict.too_few", seeds=seeds)
    judged = verdict.pairs[:seeds]
    ended = sum(math.isfinite(pair.finalist) and math.isfinite(pair.default) for pair in judged)
    shown = {"seeds": seeds} if ended == seeds else {"seeds": seeds, "ended": ended}
    return message(
        "verdict.measured",
        amount=difference(verdict),
        level=100 * (1 - verdict.look.alpha),
        span=interval_span(verdict, verdict.interval),
        seeds=message("verdict.seeds_all" if ended == seeds else "verdict.seeds_ended", **shown),
    )


def _undecided(verdict: Verdict, finalist_diverged: bool) -> Message:
    if finalist_diverged:
        return message("verdict.one_seed_diverged")
    if verdict.seeds_to_decide is not None:
        needed = message("verdict.needed_about", seeds=verdict.seeds_to_decide)
    elif verdict.reason:
        needed = message("verdict.needed_more")
    else:
        needed = message("verdict.needed_many", seeds=MOST_SEEDS)
    following = verdict.next_look
    if following is None:
        return message("verdict.no_look", needed=needed)
    if verdict.design.stops_hopeless:
        return message("verdict.more_pairs", needed=needed, seeds=verdict.looks[-1].seeds)
    return message("verdict.next_look", needed=needed, seeds=following.seeds)


def _speed(speed: SpeedUpOverSeeds) -> Message:
    shown = speed_message(speed)
    level = 100 * speed.confidence
    if speed.censored:
        reached = speed.seeds - speed.censored if speed.reached is None else speed.reached
        about = {"censored": speed.censored, "seeds": speed.seeds, "reached": reached}
        return message("verdict.speed_bound", speed=shown, level=level, **about)
    if speed.seeds == 1:
        return message("verdict.speed_one_seed", speed=shown)
    return message("verdict.speed", speed=shown, level=level, seeds=speed.seeds)


def speed_message(speed: SpeedUpOverSeeds) -> Message:
    """A speed-up with its interval, or the bound that is known."""
    if speed.value is not None and speed.seeds == 1:
        return message("verdict.speed_is", value=speed.value)
    if speed.value is not None:
        return message("verdict.speed_interval", value=speed.value, low=speed.low, high=speed.high)
    if speed.low > 0 and math.isfinite(speed.high):
        return message("verdict.speed_between", low=speed.low, high=speed.high)
    if speed.low > 0:
        return message("verdict.speed_at_least", low=speed.low)
    if math.isfinite(speed.high):
        return message("verdict.speed_at_most", high=speed.high)
    return message("verdict.speed_unknown")


def word(verdict: Verdict) -> Message:
    """The verdict's word."""
    return message(f"verdict.word.{verdict.word}")


def difference(verdict: Verdict) -> Message:
    """The verdict's difference: in per cent, or in the objective's unit where it has no per cent."""
    if verdict.difference_percent is not None:
        return amount(verdict.difference_percent)
    value = verdict.difference or 0.0
    return message("verdict.lower_unit" if value < 0 else "verdict.higher_unit", value=abs(value))


def amount(percent: float) -> Message:
    """A difference: '4.3 % lower'."""
    return message("verdict.lower" if percent < 0 else "verdict.higher", percent=abs(percent))


def interval_span(verdict: Verdict, interval: tuple[float, float]) -> Message:
    """A verdict's interval in per cent, or where there are none in the objective's unit."""
    return span(*(verdict.interval_percent or interval), unit=verdict.interval_percent is None)


def span(low: float, high: float, unit: bool = False) -> Message:
    """An interval of differences: '3.0 to 5.6 % lower', or in the objective's unit."""
    lower, higher, both = _SPANS[unit]
    if high < 0:
        return message(lower, low=-high, high=-low)
    if low > 0:
        return message(higher, low=low, high=high)
    return message(both, low=-low, high=high)
