"""The sentences that close a sweep, in English and Persian."""

from __future__ import annotations

from collections.abc import Mapping

LABEL_WIDTH = 13

ENGLISH: Mapping[str, str] = {
    "ended": "{reason}: {counts} in {time}",
    "best": "best",
    "default": "default",
    "default_beaten": "{config}: the best is {percent:.1f} % {direction}",
    "incomparable": "{config}: not comparable",
    "default_best": "is the best of the search: nothing that was tried beat it",
    "lower": "lower",
    "higher": "higher",
    "speed": "speed",
    "speed_is": "the best comes to the default's 90 % target in {epochs} epochs, the default in {default}: {speed}. "
    "Mean objective over the {common} epochs that both have: {mean:.4f} against {default_mean:.4f}. "
    "One seed each is no claim",
    "unconfirmed": "unconfirmed",
    "one_seed": "one seed each: seeds differ by as much as good configs do",
    "finalist": "finalist",
    "verdict": "verdict",
    "measured": "measured",
    "figure": "{label} {finalist:.3g}, default {default:.3g} ({percent:+.1f} %{interval})",
    "interval": ", 95 % interval {low:+.1f} to {high:+.1f} % over seeds",
    "rival": "rival",
    "rival_is": "{trial_id}: {label}, which needs no sweep: {objective}, with the search's seed",
    "objective": "objective {value:.4f}",
    "no_objective": "no finite objective",
    "at": " at epoch {epoch}",
    "text_use": ", text_use {value:.3f}",
    "rungs": "rungs",
    "rung_few": "epoch {rung} against the end: {trials} full-length trials are too few for a rank correlation",
    "rung_is": "epoch {rung} against the end: rank correlation {value:+.2f} over {trials} full-length trials",
    "resume": "resume with",
    "config": "config",
    "report": "report",
}

PERSIAN: Mapping[str, str] = {
    "ended": "پایان: {counts} در {time}",
    "best": "بهترین",
    "default": "پیش‌فرض",
    "default_beaten": "{config}: بهترین {percent:.1f} درصد {direction} است",
    "incomparable": "{config}: قابل مقایسه نیست",
    "default_best": "خودش بهترینِ جست‌وجوست: هیچ پیکربندی دیگری از آن بهتر نشد",
    "lower": "پایین‌تر",
    "higher": "بالاتر",
    "speed": "سرعت",
    "speed_is": "بهترین در {epochs} دوره به هدف ۹۰ درصدیِ پیش‌فرض می‌رسد و پیش‌فرض در {default} دوره: {speed}. "
    "میانگین تابع هدف در {common} دورهٔ مشترک: {mean:.4f} در برابر {default_mean:.4f}. با یک بذر ادعایی نمی‌شود کرد",
    "unconfirmed": "تأییدنشده",
    "one_seed": "هر پیکربندی فقط با یک بذر: تفاوت بذرها به اندازهٔ تفاوت پیکربندی‌های خوب است",
    "finalist": "برگزیده",
    "verdict": "حکم",
    "measured": "سنجه",
    "figure": "{label} {finalist:.3g}، پیش‌فرض {default:.3g} ({percent:+.1f} درصد{interval})",
    "interval": "، بازهٔ ۹۵ درصد روی بذرها {low:+.1f} تا {high:+.1f}",
    "rival": "رقیب",
    "rival_is": "{trial_id}: {label}، که به جست‌وجو نیاز ندارد: {objective}، با بذر جست‌وجو",
    "objective": "تابع هدف {value:.4f}",
    "no_objective": "تابع هدف متناهی ندارد",
    "at": " در دورهٔ {epoch}",
    "text_use": "، بهره از متن {value:.3f}",
    "rungs": "پله‌ها",
    "rung_few": "دورهٔ {rung} در برابر پایان: {trials} آزمایش کامل برای همبستگی رتبه‌ای کم است",
    "rung_is": "دورهٔ {rung} در برابر پایان: همبستگی رتبه‌ای {value:+.2f} روی {trials} آزمایش کامل",
    "resume": "ادامه با",
    "config": "پیکربندی",
    "report": "گزارش",
}

STATUSES_FA: Mapping[str, str] = {
    "finished": "کامل",
    "stopped": "متوقف‌شده",
    "diverged": "واگرا",
    "failed": "ناموفق",
    "budget": "ناتمام از کمبود وقت",
    "running": "در حال اجرا",
}


def words(lang: str) -> Mapping[str, str]:
    """The sentences by name."""
    return PERSIAN if lang == "fa" else ENGLISH


def line(label: str, text: str) -> str:
    """A label and what it is about, the texts of all lines under each other."""
    return f"{label:<{LABEL_WIDTH}}{text}"
