"""A verdict in plain words, English and Persian, and the notes that stand beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sweeps.confirm.verdict import Verdict

LANGUAGES = ("en", "fa")
Side = Literal["finalist", "default"]


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on a verdict, in English and Persian."""

    en: str
    fa: str

    def text(self, lang: str = "en") -> str:
        """The remark in one of the two languages."""
        return self.fa if lang == "fa" else self.en


@dataclass(frozen=True, slots=True)
class MeasuredDifference:
    """Finalist against default on another measure (lower is better), in per cent with its interval."""

    name: str
    percent: float
    low: float
    high: float
    name_fa: str = ""


def disagreement_notes(verdict: Verdict, measures: Sequence[MeasuredDifference]) -> tuple[Note, ...]:
    """A note for each measure whose interval clearly points elsewhere than the verdict."""
    notes = []
    for measure in measures:
        direction = -1 if measure.high < 0 else 1 if measure.low > 0 else 0
        expected = {"better": -1, "worse": 1, "no difference": 0}.get(verdict.word)
        if expected is None or direction in (0, expected):
            continue
        notes.append(
            Note(
                f"{measure.name} disagrees: it is {_amount(measure.percent)} ({_span(measure.low, measure.high)}), "
                f"while the verdict on the objective is {verdict.word!r}. Listen to the samples before you decide.",
                f"معیار {measure.name_fa or measure.name} با این نتیجه هم‌خوان نیست: {_amount_fa(measure.percent)} است "
                f"({_span_fa(measure.low, measure.high)})، در حالی که حکم تابع هدف «{_WORDS_FA[verdict.word]}» است. "
                "پیش از تصمیم‌گیری نمونه‌های صوتی را بشنوید.",
            )
        )
    return tuple(notes)


def rival_note(name: str, rival: Verdict, against: Side = "finalist") -> Note | None:
    """What a rival's verdict against the config to take home means; None where that beat it or nothing was tested."""
    fa = {"finalist": "پیکربندی برگزیده", "default": "پیش‌فرض"}[against]
    if rival.word == "better":
        return Note(
            f"{name}, which needs no sweep, is better than the {against}: {_amount(rival.difference_percent or 0.0)}.",
            f"روش خودکار {name} که به جست‌وجو نیاز ندارد از {fa} بهتر است: "
            f"{_amount_fa(rival.difference_percent or 0.0)}.",
        )
    if rival.word == "no difference":
        return Note(
            f"{name}, which needs no sweep, is as good as the {against} (within {rival.margin_percent:g} %).",
            f"روش خودکار {name} که به جست‌وجو نیاز ندارد به خوبی {fa} است (در حد {rival.margin_percent:g} درصد).",
        )
    if rival.word == "undecided" and rival.look is not None:
        return Note(
            f"{name}, which needs no sweep, could not be told apart from the {against} over {rival.look.seeds} seeds"
            f"{_difference(rival)}.",
            f"روش خودکار {name} که به جست‌وجو نیاز ندارد، با {rival.look.seeds} بذر از {fa} قابل تشخیص نبود.",
        )
    return None


def _difference(rival: Verdict) -> str:
    if rival.difference_percent is None or rival.interval_percent is None:
        return ""
    return f" (its objective is {_amount(rival.difference_percent)}, interval {_span(*rival.interval_percent)})"


def sentence(verdict: Verdict, lang: str = "en") -> str:
    """The verdict for people: the word, difference, interval and seeds, speed-up, what to do; then its notes."""
    parts = _persian(verdict) if lang == "fa" else _english(verdict)
    return " ".join([*parts, *(note.text(lang) for note in verdict.notes)])


def _english(verdict: Verdict) -> list[str]:
    if verdict.word == "unconfirmed":
        return ["unconfirmed: no confirmation seed was run, so the best of the search may be luck. `confirm` tests it."]
    if verdict.look is None:
        return [
            f"undecided: {len(verdict.pairs)} of the {verdict.looks[0].seeds} seeds that the first look needs. "
            "`confirm` runs the rest; until then keep the default."
        ]
    parts = [f"{verdict.word}: {_measured(verdict)}."]
    if verdict.reason:
        parts.append(f"{verdict.reason[0].upper()}{verdict.reason[1:]}.")
    if verdict.power_observed is not None and verdict.sd_percent is not None:
        parts.append(
            f"Power for a true {verdict.gain_percent:g} % gain: {verdict.power_observed:.0%}, "
            f"pairs of seeds differing with an sd of {verdict.sd_percent:.1f} %."
        )
    if verdict.word in ("worse", "no difference"):
        parts.append("Keep the default.")
    if verdict.word == "undecided":
        parts.append(_undecided(verdict))
    if verdict.speed_up is not None:
        parts.append(f"Speed-up to the 90 % target: {_speed(verdict)}.")
    return parts


def _measured(verdict: Verdict) -> str:
    look = verdict.look
    if look is None or verdict.difference_percent is None or verdict.interval_percent is None:
        return f"too few of the {look.seeds if look else 0} seeds ended to measure a difference"
    judged = verdict.pairs[: look.seeds]
    ended = sum(math.isfinite(pair.finalist) and math.isfinite(pair.default) for pair in judged)
    seeds = f"{look.seeds} seeds" if ended == look.seeds else f"the {ended} of {look.seeds} seeds in which both ended"
    return (
        f"the finalist's objective is {_amount(verdict.difference_percent)} than the default's "
        f"({_level(verdict)} % interval {_span(*verdict.interval_percent)}, {seeds}; it covers seeds, not other data)"
    )


def _undecided(verdict: Verdict) -> str:
    following = verdict.next_look
    if _finalist_diverged(verdict):
        return "A config that diverged on one seed is not called better on the others. Keep the default."
    if verdict.seeds_to_decide is not None:
        needed = f"About {verdict.seeds_to_decide} seeds would decide it"
    elif verdict.reason:
        needed = "More seeds are needed"
    else:
        needed = "More than 200 seeds would be needed to decide it"
    if following is not None:
        look = f"the next planned look is at {following.seeds} (`confirm`)"
        return f"{needed}; {look}. Until then keep the default."
    return f"{needed}, all of them fresh: the planned looks are used up. Keep the default."


def _speed(verdict: Verdict) -> str:
    speed = verdict.speed_up
    if speed is None:
        return ""
    level = f"{100 * speed.confidence:.0f} %"
    if speed.censored:
        return f"{speed} ({level} sure; {speed.censored} of {speed.seeds} seeds only give a bound)"
    return f"{speed}, {level} interval over {speed.seeds} seeds" if speed.seeds > 1 else str(speed)


def _amount(percent: float) -> str:
    return f"{abs(percent):.1f} % {'lower' if percent < 0 else 'higher'}"


def _span(low: float, high: float) -> str:
    if high < 0:
        return f"{-high:.1f} to {-low:.1f} % lower"
    if low > 0:
        return f"{low:.1f} to {high:.1f} % higher"
    return f"from {-low:.1f} % lower to {high:.1f} % higher"


def _finalist_diverged(verdict: Verdict) -> int:
    judged = verdict.pairs[: verdict.look.seeds if verdict.look else 0]
    return sum(not math.isfinite(pair.finalist) for pair in judged)


def _level(verdict: Verdict) -> str:
    return f"{100 * (1 - verdict.look.alpha):g}" if verdict.look else ""


_WORDS_FA = {
    "better": "بهتر",
    "worse": "بدتر",
    "no difference": "بدون تفاوت",
    "undecided": "نامشخص",
    "unconfirmed": "تأییدنشده",
}


_SPEED_FA = {
    "at least": "دست‌کم",
    "at most": "حداکثر",
    " to ": " تا ",
    "unknown": "نامعلوم",
    "one seed": "یک بذر",
    "x": " برابر",
}


def _persian(verdict: Verdict) -> list[str]:
    word = _WORDS_FA[verdict.word]
    if verdict.word == "unconfirmed":
        return [
            f"{word}: هیچ بذر تأییدی اجرا نشده است، پس بهترین نتیجهٔ جست‌وجو شاید از بخت باشد. "
            "دستور `confirm` آن را می‌آزماید."
        ]
    if verdict.look is None:
        return [
            f"{word}: از {verdict.looks[0].seeds} بذری که نخستین بررسی لازم دارد {len(verdict.pairs)} بذر آماده است. "
            "دستور `confirm` بقیه را اجرا می‌کند؛ تا آن زمان پیش‌فرض را نگه دارید."
        ]
    parts = [f"{word}: {_measured_fa(verdict)}."]
    if verdict.power_observed is not None and verdict.sd_percent is not None:
        parts.append(
            f"توان آزمون برای بهبود واقعی {verdict.gain_percent:g} درصدی: {100 * verdict.power_observed:.0f} درصد "
            f"(انحراف معیار زوج بذرها {verdict.sd_percent:.1f} درصد)."
        )
    if verdict.word in ("worse", "no difference"):
        parts.append("پیش‌فرض را نگه دارید.")
    if verdict.word == "undecided":
        parts.append(_undecided_fa(verdict))
    if verdict.speed_up is not None:
        parts.append(
            f"نسبت سرعت رسیدن به هدف 90 درصد: {_speed_fa(verdict)} "
            f"(اطمینان {100 * verdict.speed_up.confidence:.0f} درصد، {verdict.speed_up.seeds} بذر)."
        )
    return parts


def _measured_fa(verdict: Verdict) -> str:
    look = verdict.look
    diverged = _finalist_diverged(verdict)
    tail = f"؛ پیکربندی برگزیده در {diverged} بذر واگرا شد" if diverged else ""
    if look is None or verdict.difference_percent is None or verdict.interval_percent is None:
        return f"بذرهای سالم برای سنجش تفاوت کافی نیستند{tail}"
    return (
        f"تابع هدفِ پیکربندی برگزیده {_amount_fa(verdict.difference_percent)} از پیش‌فرض است "
        f"(بازهٔ {_level(verdict)} درصد: {_span_fa(*verdict.interval_percent)}، {look.seeds} بذر؛ "
        f"این بازه تفاوت بذرها را می‌پوشاند، نه دادهٔ دیگر را){tail}"
    )


def _undecided_fa(verdict: Verdict) -> str:
    following = verdict.next_look
    if _finalist_diverged(verdict):
        return "پیکربندی‌ای که در یک بذر واگرا شده، با بذرهای دیگر «بهتر» شمرده نمی‌شود. پیش‌فرض را نگه دارید."
    if verdict.seeds_to_decide is not None:
        needed = f"برای روشن شدن نتیجه حدود {verdict.seeds_to_decide} بذر لازم است"
    elif verdict.reason:
        needed = "بذرهای بیشتری لازم است"
    else:
        needed = "برای روشن شدن نتیجه بیش از 200 بذر لازم است"
    if following is not None:
        look = f"بررسی بعدی با {following.seeds} بذر است (`confirm`)"
        return f"{needed}؛ {look}. تا آن زمان پیش‌فرض را نگه دارید."
    return f"{needed}، همگی تازه: بررسی‌های برنامه‌ریزی‌شده تمام شده‌اند. پیش‌فرض را نگه دارید."


def _speed_fa(verdict: Verdict) -> str:
    text = str(verdict.speed_up)
    for english, persian in _SPEED_FA.items():
        text = text.replace(english, persian)
    return text


def _amount_fa(percent: float) -> str:
    return f"{abs(percent):.1f} درصد {'کمتر' if percent < 0 else 'بیشتر'}"


def _span_fa(low: float, high: float) -> str:
    if high < 0:
        return f"{-high:.1f} تا {-low:.1f} درصد کمتر"
    if low > 0:
        return f"{low:.1f} تا {high:.1f} درصد بیشتر"
    return f"از {-low:.1f} درصد کمتر تا {high:.1f} درصد بیشتر"
