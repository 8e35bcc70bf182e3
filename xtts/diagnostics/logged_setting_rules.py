"""Findings about a logged run's settings and data: units, weights, clip, learning rate, batches, texts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from xtts.diagnostics.finding import Finding, Numbers
from xtts.diagnostics.logged_run import TOO_SHORT, LoggedRun
from xtts.diagnostics.setting_rules import (
    LEAST_CONFIDENCE,
    RATE_FAR_ABOVE,
    THREE_DIGITS,
    USUAL_MEL_SD,
    dead_clip,
    three_digit_story,
)
from xtts.prepare.letter_order import NO_ORDER
from xtts.prepare.text_fit import NO_AGREEMENT, REPEATED

RAW_MEL_ERROR = 2.0
"""A first mel error above this is on un-normalised log-mel: standardised, predicting zero gives about 0.8"""
SUM_TOLERANCE = 0.03
"""Where the terms add up to the total that closely, those whose weight no config names have weight 1"""
FAR_TIMES = 5.0
"""Times what a trainer is made for: mel weights of VITS are searched up to 200 (4.4 times), twice its rate is common"""
FINE_TUNING = 12.0
"""A finished model is trained on with a tenth of the rate at most"""
LEAST_SHARE = 0.02
"""Of the steps: a rarer duration loss of that size is a clip or two in a whole data set"""
LEAST_STEPS = 40
ALIKE = 0.0145
"""Step-to-step variation of a training loss: one clip repeated 0.7 to 0.9 %, healthy runs 2.3 to 4.4 %"""

UNKNOWN = "unknown"
"""In place of a number; the catalogues have a word for it"""


def three_digits(run: LoggedRun) -> Finding | None:
    """A first printed loss of three digits or more, explained by weight times mel error where these are known."""
    total, mel = run.curves.get("train/loss"), run.raw("train/mel")
    logged = total if total is not None and len(total) else run.curves.get("train/mel")
    if logged is None or not len(logged):
        return None
    first, weight = float(logged.values[0]), run.weights.get("mel")
    sd = run.mel_sd or USUAL_MEL_SD
    if first < THREE_DIGITS:
        raw = float(mel.values[0]) if mel is not None else 0.0
        found = Finding("raw_mel", "note", {"mel": raw, "sd": sd, "standard": raw / sd})
        return found if raw > RAW_MEL_ERROR and run.raw_mel is None else None
    if weight is None:
        return Finding("three_digits_unknown", "note", {"loss": first})
    error = float(mel.values[0]) if mel is not None and total is not None else first / weight
    return three_digit_story(
        first, weight, error, sd, raw=run.raw_mel or error >= RAW_MEL_ERROR, usual=bool(run.raw_mel)
    )


def term_shares(run: LoggedRun) -> Finding | None:
    """What share each weighted term has of the last tenth of training."""
    ends: dict[str, float] = {}
    for name, curve in run.curves.items():
        split, _, term = name.partition("/")
        if split == "train" and term not in ("loss", "discriminator", "objective") and len(curve):
            weight = 1.0 if run.is_weighted else run.weights.get(term, 1.0)
            ends[term] = weight * float(curve.blocks(10)[-1])
    total = run.curves.get("train/loss")
    whole = float(total.blocks(10)[-1]) if total is not None and len(total) else 0.0
    known = run.is_weighted or not run.weights or abs(sum(ends.values()) - whole) < SUM_TOLERANCE * abs(whole)
    parts = {term: end for term, end in ends.items() if known or term in run.weights}
    size = sum(abs(value) for value in parts.values())
    if len(parts) < 2 or size <= 0:
        return None
    shares = sorted(((abs(value) / size, term) for term, value in parts.items()), reverse=True)
    numbers: Numbers = {
        "shares": ", ".join(f"{term} {share:.0%}" for share, term in shares),
        "first": shares[0][1],
        "share": shares[0][0],
    }
    return Finding("term_shares" if run.is_weighted or run.weights else "term_shares_unweighted", "note", numbers)


def clip_share(run: LoggedRun) -> Finding | None:
    """On how many steps the gradient clip acted; a clip that acts on none or on all of them is a dead setting."""
    norms = run.curves.get("grad_norm")
    if norms is None or len(norms) < TOO_SHORT or not norms.values.any():
        return None
    p50, p95 = (float(np.quantile(norms.values, share)) for share in (0.5, 0.95))
    if run.clip is None:
        return Finding("clip_unknown", "note", {"p50": p50, "p95": p95})
    if run.clip <= 0:
        return None
    share = float((norms.values > run.clip).mean())
    return dead_clip(run.clip, share, p50, p95) or Finding(
        "clip_acts", "note", {"clip": run.clip, "share": share, "p50": p50, "p95": p95}
    )


def rate_far_off(run: LoggedRun) -> Finding | None:
    """A learning rate above what Adam and its relatives are used with, or far from the one that the trainer has.

    The highest that is logged; without a log of it the config's.
    """
    rates = run.curves.get("learning_rate")
    top = float(rates.high.max()) if rates is not None and len(rates) else run.rate or 0.0
    usual = run.usual.get("rate")
    if RATE_FAR_ABOVE < top < 1:  # 1: a factor, no rate
        return Finding("rate_far_above", "warning", {"rate": top, "usual": RATE_FAR_ABOVE})
    if usual is not None and FAR_TIMES * usual < top < 1:
        return Finding("rate_above_trainers", "warning", {"rate": top, "usual": usual, "times": top / usual})
    if usual is not None and 0 < top < usual / FINE_TUNING:
        return Finding("rate_below_trainers", "warning", {"rate": top, "usual": usual, "times": usual / top})
    return None


def mel_weight_far_above(run: LoggedRun) -> Finding | None:
    """A mel weight far above the one that the trainer is made for, and above its ratio to the KL weight."""
    usual, weight = run.usual.get("mel"), run.weights.get("mel")
    if usual is None or weight is None:
        return None
    times = weight / usual / max(1.0, run.weights.get("kl", 1.0))
    if times < FAR_TIMES:
        return None
    return Finding("mel_weight_far_above", "warning", {"weight": weight, "usual": usual, "times": times})


def setting_without_effect(run: LoggedRun) -> Finding | None:
    """A setting of the config that the trainer reads nowhere."""
    if not run.unread:
        return None
    return Finding("setting_without_effect", "note", {"settings": _listed(run.unread)})


def _listed(settings: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in settings.items())


def texts_longer_than_clips(run: LoggedRun) -> Finding | None:
    """Duration losses that come from tokens without a frame: texts with more tokens than their clips have frames."""
    highest, curve = run.usual.get("duration"), run.raw("train/duration")
    if highest is None or curve is None or len(curve) < TOO_SHORT:
        return None
    share = float((curve.high > highest).mean())
    if share < LEAST_SHARE:
        return None
    numbers: Numbers = {"share": share, "highest": float(curve.high.max()), "usual": highest}
    return Finding("texts_longer_than_clips", "warning", numbers)


def schedule_ended(run: LoggedRun) -> Finding | None:
    """The learning rate is down to 2 % of its peak."""
    rates = run.curves.get("learning_rate")
    if rates is None or len(rates) < 5:
        return None
    top, end = float(rates.high.max()), float(rates.values[-1])
    if top <= 0 or end > 0.02 * top or int(np.argmax(rates.values)) == len(rates) - 1:
        return None
    return Finding("schedule_ended", "note", {"peak": top, "end": end})


def term_starts_late(run: LoggedRun) -> Finding | None:
    """A training term that is exactly zero at first and not later: the total jumps there."""
    for name, curve in run.curves.items():
        if not name.startswith("train/") or len(curve) < 10:
            continue
        on = np.flatnonzero(curve.values != 0)
        if len(on) and on[0] >= 3 and (curve.values[on[0] :] != 0).mean() > 0.9:
            return Finding("term_starts_late", "note", {"term": name, "step": int(curve.steps[on[0]])})
    return None


def batches_alike(run: LoggedRun) -> Finding | None:
    """The training loss hardly varies from one step to the next: batches of nearly the same speech."""
    if run.training is None:
        return None
    name, curve = run.training
    if len(curve) < LEAST_STEPS or curve.count != len(curve) or float(np.median(np.diff(curve.steps))) != 1:
        return None  # epoch means, or buckets of many steps
    level, noise = float(np.median(curve.values[-len(curve) // 2 :])), curve.noise()
    if level <= 0 or noise >= ALIKE * level:
        return None
    return Finding("batches_alike", "note", {"term": name, "noise": noise / level})


def letters_shuffled(run: LoggedRun) -> Finding | None:
    """The letters of the texts stand in no order."""
    order = run.texts.letter_order if run.texts else None
    if order is None or order < NO_ORDER:
        return None
    return Finding("letters_in_no_order", "problem", {"order": order})


def lengths_do_not_fit(run: LoggedRun) -> Finding | None:
    """Long texts do not have long recordings: transcripts of other clips."""
    agreement = run.texts.length_agreement if run.texts else None
    if agreement is None or agreement >= NO_AGREEMENT:
        return None
    return Finding("lengths_do_not_fit", "problem", {"agreement": agreement})


def texts_do_not_align(run: LoggedRun) -> Finding | None:
    """An aligner does not prefer the clips' own texts to others."""
    confidence = run.texts.confidence if run.texts else None
    if confidence is None or confidence >= LEAST_CONFIDENCE:
        return None
    return Finding("texts_do_not_fit", "problem", {"confidence": confidence})


def recordings_repeated(run: LoggedRun) -> Finding | None:
    """One recording stands under several texts, of which one can be right."""
    if run.texts is None or run.texts.repeated < REPEATED:
        return None
    return Finding("recordings_repeated", "problem", {"share": run.texts.repeated})


def texts_seen(run: LoggedRun) -> Finding | None:
    """What was seen of the texts, where nothing speaks against them; without a data set that they are unknown."""
    if run.texts is None:
        return Finding("texts_unknown", "note")
    if any(rule(run) for rule in (letters_shuffled, lengths_do_not_fit, texts_do_not_align, recordings_repeated)):
        return None
    order, agreement = run.texts.letter_order, run.texts.length_agreement
    numbers: Numbers = {
        "folder": run.texts.folder,
        "clips": run.texts.clips,
        "order": UNKNOWN if order is None else f"{order:.0%}",
        "agreement": UNKNOWN if agreement is None else f"{agreement:.2f}",
    }
    return Finding("texts_fit", "note", numbers)


LOGGED_SETTING_RULES = (
    three_digits,
    term_shares,
    clip_share,
    rate_far_off,
    mel_weight_far_above,
    setting_without_effect,
    texts_longer_than_clips,
    schedule_ended,
    term_starts_late,
    batches_alike,
    letters_shuffled,
    lengths_do_not_fit,
    texts_do_not_align,
    recordings_repeated,
    texts_seen,
)
