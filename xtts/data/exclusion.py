"""A clip that is left out, and why: no data set gets smaller in silence."""

from typing import NamedTuple

UNUSABLE_REASONS = {
    "missing": "no recording",
    "outside_folder": "points outside the data folder",
    "repeated_id": "two rows with one id",
    "not_readable": "recording cannot be opened",
    "empty": "recording without samples",
    "truncated": "recording cut short or damaged",
    "not_audio": "not audio",
    "not_finite": "NaN or infinite samples",
    "out_of_range": "samples far beyond full scale",
    "silent": "silent",
    "too_short": "shorter than a patch",
    "too_long": "far longer than the rest",
    "no_text": "no letter or digit in the text",
}
"""What makes a clip unusable; the share of these decides whether a data set is accepted."""

OTHER_REASONS = {"in_eval": "text or recording also stands in the eval set"}
"""Reasons that say nothing against the clip."""

REASONS = UNUSABLE_REASONS | OTHER_REASONS


class Exclusion(NamedTuple):
    """One clip left out: `reason` is a key of REASONS, `detail` is for people."""

    id: str
    reason: str
    detail: str
