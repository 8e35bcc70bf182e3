"""A clip that is left out, and why: no data set gets smaller in silence."""

from typing import NamedTuple

UNUSABLE_REASONS = {
    "missing": "no recording",
    "outside_folder": "points outside the data folder",
    "repeated_id": "two rows with one id or recording",
    "not_readable": "recording cannot be opened",
    "empty": "recording without samples",
    "truncated": "recording cut short or damaged",
    "not_audio": "not audio",
    "not_finite": "NaN or infinite samples",
    "out_of_range": "samples far beyond full scale",
    "silent": "silent",
    "cancelled": "channels that cancel each other",
    "too_short": "shorter than a patch",
    "too_long": "over 30 s",
    "far_longer": "far longer than the rest",
    "no_text": "no letter or digit in the text",
}
"""What makes a clip unusable; the share of these decides whether a data set is accepted."""

OTHER_REASONS = {
    "in_eval": "text or recording also stands in the eval set",
    "too_much_text": "more text than can be said in the recording",
    "cut_off": "too short for a word, with more text than can be said in it",
}
"""Reasons that do not count against a data set; many clips with too much text have a limit of their own."""

REASONS = UNUSABLE_REASONS | OTHER_REASONS


class Exclusion(NamedTuple):
    """One clip left out: `reason` is a key of REASONS, `detail` is for people."""

    id: str
    reason: str
    detail: str
