"""Findings about a trial's settings and data, from what its log shows of their effect."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from xtts.diagnostics.finding import Epoch, Finding, Numbers, mean, number, series
from xtts.prepare.letter_order import NO_ORDER

THREE_DIGITS = 100.0
USUAL_MEL_SD = 2.2
"""Of un-normalised ln-mel of speech (measured 2.1 to 2.3)"""
DEAD_SHARE = 0.001
SATURATED_SHARE = 0.01
CLIP_FAR_BELOW = 100.0
"""Times that a usual gradient norm is above its clip, from which on the clip is a slip of the pen"""
LEAST_CLIP = 0.1
"""Clips of 0.3 to 5 are in common use, also where VITS's norms of 100 to 300 make them act on every step"""
RATE_FAR_ABOVE = 5e-3
"""AdamW's usual learning rates are 1e-5 to 3e-3"""
BALANCE = 6.0
"""Times that the mel term weighs what the likelihood gives it; weights 5 and 1: 2.0 at most, the safe limits: 4"""
LEAST_CONFIDENCE = 0.5
"""Of the alignment; voices that were measured have 0.7 to 0.8, permuted transcripts 0.0 to 0.3"""
ALIGNMENT_CONFIDENCE = "alignment_confidence"
LETTER_ORDER = "letter_order"
"""Among a trial's parameters: the data set's mean alignment confidence, and its xtts.prepare.letter_order"""


def loss_clip(epochs: Sequence[Epoch], params: Mapping[str, object]) -> Finding | None:
    """A loss-value clip stops learning on each step that reaches it, and does nothing on the others."""
    clip, shares = number(params, "loss_value_clip"), series(epochs, "train/loss_clip_fraction")
    if clip is None or clip <= 0 or not shares:
        return None
    share = mean(shares)
    if share >= SATURATED_SHARE:
        return Finding("loss_clip_saturated", "problem", {"clip": clip, "share": share})
    return Finding("loss_clip_never", "note", {"clip": clip}) if share == 0 else None


def gradient_clip(epochs: Sequence[Epoch], params: Mapping[str, object]) -> Finding | None:
    """A gradient clip that acts on none or on all of the steps is a dead hyperparameter; one far below, a slip."""
    clip, shares = number(params, "gradient_clip_norm"), series(epochs, "train/clip_fraction")
    p50, p95 = series(epochs, "train/grad_norm_p50"), series(epochs, "train/grad_norm_p95")
    if clip is None or clip <= 0 or not shares or not p50 or not p95:
        return None
    return dead_clip(clip, mean(shares), p50[-1], p95[-1])


def dead_clip(clip: float, share: float, p50: float, p95: float) -> Finding | None:
    """A clip that acts on no or on every step, from the share of steps and quantiles of the norm."""
    numbers: Numbers = {"clip": clip, "share": share, "p50": p50, "p95": p95}
    if share <= DEAD_SHARE:
        return Finding("clip_never", "note", numbers)
    if share < 1 - DEAD_SHARE:
        return None
    if p50 >= CLIP_FAR_BELOW * clip and clip < LEAST_CLIP:
        return Finding("clip_far_below", "warning", {**numbers, "times": p50 / clip})
    return Finding("clip_always", "note", numbers)


def three_digit_loss(epochs: Sequence[Epoch], params: Mapping[str, object]) -> Finding | None:
    """A first printed loss of three digits or more is mel weight times mel scale."""
    first = number(epochs[0], "loss_first") if epochs else None
    weight = number(params, "mel_loss_weight")
    if first is None or weight is None or weight <= 0 or first < THREE_DIGITS:
        return None
    raw = params.get("mel_normalisation") == "none"
    return three_digit_story(first, weight, first / weight, USUAL_MEL_SD, raw=raw)


def three_digit_story(
    first: float, weight: float, error: float, sd: float, *, raw: bool, usual: bool = False
) -> Finding:
    """What makes a first loss of three digits: weight, or un-normalised mel; `usual`: the trainer is made for that."""
    numbers: Numbers = {"loss": first, "weight": weight, "mel": error, "part": weight * error / first}
    if not raw:
        return Finding("three_digits_weight", "note", numbers)
    code = "three_digits_by_design" if usual else "three_digits_raw_mel"
    return Finding(code, "note", {**numbers, "sd": sd, "standard": error / sd})


def unnormalised_mel(epochs: Sequence[Epoch], params: Mapping[str, object]) -> Finding | None:
    """Mel that is not standardised: losses are in other units, and learning begins with the scale."""
    mel = series(epochs, "train/mel")
    if params.get("mel_normalisation") != "none" or not mel:
        return None
    return Finding("unnormalised_mel", "warning", {"first": mel[0], "last": mel[-1]})


def mel_weight_too_large(epochs: Sequence[Epoch], params: Mapping[str, object]) -> Finding | None:
    """The likelihood balances the weights at mel / kl = 1 / mel error, a Laplace scale: far above it KL has no say."""
    mel_weight, kl_weight = number(params, "mel_loss_weight"), number(params, "kl_loss_weight")
    errors = series(epochs, "train/mel")
    if params.get("weighting", "fixed") != "fixed" or params.get("mel_normalisation") == "none" or len(errors) < 2:
        return None
    if mel_weight is None or kl_weight is None or kl_weight <= 0 or errors[-1] <= 0:
        return None
    ratio = mel_weight / kl_weight
    if not BALANCE <= ratio * errors[-1] < math.inf:
        return None
    numbers = {"ratio": ratio, "error": errors[-1], "balanced": 1 / errors[-1], "times": ratio * errors[-1]}
    return Finding("mel_weight_too_large", "warning", numbers)


def rate_far_above(epochs: Sequence[Epoch], params: Mapping[str, object]) -> Finding | None:
    """A learning rate above what AdamW is used with; the curves of such a run can look healthy for many epochs."""
    rate = number(params, "learning_rate")
    if rate is None or rate <= RATE_FAR_ABOVE or not epochs:
        return None
    return Finding("rate_far_above", "warning", {"rate": rate, "usual": RATE_FAR_ABOVE})


def texts_do_not_fit(epochs: Sequence[Epoch], params: Mapping[str, object]) -> Finding | None:
    """The aligner prefers other texts to the clips' own: wrong transcripts, or one recording for many texts."""
    confidence = number(params, ALIGNMENT_CONFIDENCE)
    if confidence is None or confidence >= LEAST_CONFIDENCE or not epochs:
        return None
    return Finding("texts_do_not_fit", "problem", {"confidence": confidence})


def letters_in_no_order(epochs: Sequence[Epoch], params: Mapping[str, object]) -> Finding | None:
    """The letters of the texts stand in no order: they were shuffled, or are no text."""
    order = number(params, LETTER_ORDER)
    if order is None or order < NO_ORDER or not epochs:
        return None
    return Finding("letters_in_no_order", "problem", {"order": order})


SETTING_RULES = (
    loss_clip,
    gradient_clip,
    three_digit_loss,
    unnormalised_mel,
    mel_weight_too_large,
    rate_far_above,
    texts_do_not_fit,
    letters_in_no_order,
)
