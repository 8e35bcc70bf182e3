"""Which clips of a data set can be learned from, and when too few of them can."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xtts.data.dataset import Dataset
from xtts.data.exclusion import REASONS, UNUSABLE_REASONS, Exclusion
from xtts.data.features.cache import Features
from xtts.data.layouts import Row
from xtts.data.metadata_file import EVAL_PART
from xtts.data.recordings import Recordings
from xtts.data.text import dropped, has_letters, is_turkic, normalise, spoken_length
from xtts.errors import SpeechError

UNUSABLE_SHARE = 0.05
"""A larger share of unusable clips than this and the data set is refused without --accept-unusable."""
ALWAYS_SHORT_ENOUGH = 15.0
"""Seconds that no clip is excluded for, however short the others are."""
TIMES_THE_MEDIAN = 8.0
"""A clip longer than this many median clips, and than ALWAYS_SHORT_ENOUGH, is far longer than the rest."""
MOST_CHARACTERS_PER_SECOND = 100.0
"""More than anyone speaks; an aligner's time and memory grow with it."""
CHARACTERS_ALWAYS_SAID = 20
"""Texts as short as this are never too much for their recording."""
TOO_MUCH_TEXT_SHARE = 0.1
"""A larger share of clips with too much text, and the transcripts are not those of the recordings."""
USUAL_CHARACTERS_PER_SECOND = (4.0, 40.0)
"""Where the median over the clips lies whatever the language, an ideograph counted as three letters from below."""

SECONDS_WITH_A_RATE = 0.25
"""A shorter clip is no word, and says nothing about the rate of the transcripts of a set."""


@dataclass(frozen=True)
class Clip:
    """A usable clip on its way to prepared speech; `at` is its place among the recordings."""

    at: int
    row: Row
    path: str
    text: str


def usable_clips(recordings: Recordings, features: Features) -> tuple[list[Clip], list[Exclusion]]:
    """The clips that can be learned from, and all others with their reasons."""
    exclusions = list(recordings.exclusions)
    clips: list[Clip] = []
    seconds = features.records["seconds"]
    decoded = seconds[features.records["frames"] > 0]
    median = float(np.median(decoded)) if len(decoded) else 0.0
    longest = max(ALWAYS_SHORT_ENOUGH, TIMES_THE_MEDIAN * median)
    turkic = is_turkic(row.text for row in recordings.rows)
    for at, (row, path) in enumerate(zip(recordings.rows, recordings.paths, strict=True)):
        problem = features.problems.get(at)
        text = normalise(row.text, turkic=turkic)
        if problem:
            exclusions.append(Exclusion(row.id, problem.reason, f"{path}: {problem.detail}"))
        elif seconds[at] > longest:
            detail = f"{path}: {seconds[at]:.1f} s where half of the clips are under {median:.1f} s"
            exclusions.append(Exclusion(row.id, "far_longer", detail))
        elif not has_letters(text):
            exclusions.append(Exclusion(row.id, "no_text", f"{path}: its text is {row.text[:80]!r}"))
        elif len(text) > CHARACTERS_ALWAYS_SAID + MOST_CHARACTERS_PER_SECOND * seconds[at]:
            detail = f"{path}: {len(text):,} characters in {seconds[at]:.1f} s, beginning {text[:40]!r}"
            reason = "too_much_text" if seconds[at] >= SECONDS_WITH_A_RATE else "cut_off"
            exclusions.append(Exclusion(row.id, reason, detail))
        else:
            clips.append(Clip(at, row, path, text))
    return clips, exclusions


def reading_notes(recordings: Recordings, clips: list[Clip]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What was read otherwise than it stands there: recordings from elsewhere, characters that are not spoken."""
    notes = []
    if recordings.outside:
        notes.append(("recordings outside the data folder, read because of --allow-outside", recordings.outside))
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for clip in clips:
        for character, count in dropped(clip.row.text).items():
            counts[character] += count
            first.setdefault(character, clip.row.id)
    if counts:
        named = tuple(
            f"{character} U+{ord(character):04X} ({count:,} times, first in {first[character]})"
            for character, count in counts.most_common()
        )
        notes.append(("characters that are not spoken and were left out of the texts", named))
    return tuple(notes)


def suspicious_rate(speech: Dataset) -> str:
    """What is wrong with the characters a second of a data set; empty if they can be speech.

    A set of clips too short to have a rate is not refused for it: each of them is named by its alignment.
    """
    least, most = USUAL_CHARACTERS_PER_SECOND
    figures = speech.figures.seconds
    judged = np.flatnonzero(figures >= SECONDS_WITH_A_RATE)
    if 2 * len(judged) < len(speech):
        return ""
    slow = float(np.median([spoken_length(speech.texts[at]) / figures[at] for at in judged]))
    fast = float(np.median([len(speech.texts[at]) / figures[at] for at in judged]))
    if least <= slow and fast <= most:
        return ""
    rate, bound = (slow, f"under {least:g}") if slow < least else (fast, f"over {most:g}")
    examples = ", ".join(f"{speech.ids[at]} {speech.texts[at][:40]!r}" for at in range(min(2, len(speech))))
    return (
        f"half of the texts have {bound} characters a second ({rate:.1f}), which is no speech: "
        f"are the texts in another column (--columns id,speaker,text)? They begin with {examples}"
    )


_ADVICE = {
    "too_long": "split them at pauses into clips of 2 to 15 s, each with its own text (examples/data_recipes.md)",
    "outside_folder": "copy the recordings into the folder, or read them where they are with --allow-outside",
    "too_much_text": "mend their transcripts",
    "missing": "name the recordings as they are, or name the columns with --columns id,speaker,text",
}


def refuse_if_unusable(data: Path, usable: int, exclusions: Iterable[Exclusion], accept_unusable: bool) -> None:
    exclusions = list(exclusions)
    unusable = [exclusion for exclusion in exclusions if exclusion.reason in UNUSABLE_REASONS]
    listed = usable + len(unusable)
    too_much = [exclusion for exclusion in exclusions if exclusion.reason == "too_much_text"]
    if not usable or (len(too_much) > TOO_MUCH_TEXT_SHARE * (usable + len(too_much)) and not accept_unusable):
        unusable += too_much
        listed += len(too_much)
    if usable and (accept_unusable or len(unusable) <= UNUSABLE_SHARE * listed):
        return
    counts = Counter(exclusion.reason for exclusion in unusable)
    reasons = ", ".join(f"{count} {REASONS[reason]}" for reason, count in counts.most_common())
    first = f"{unusable[0].id} ({unusable[0].detail})" if unusable else "none"
    advice = "mend or remove them, or leave them out with --accept-unusable" if usable else "mend them"
    for reason, words in _ADVICE.items():
        if 2 * counts[reason] > len(unusable):
            advice = f"{words}, or leave them out with --accept-unusable" if usable else words
    share = f"{len(unusable)} of {listed} clips ({100 * len(unusable) / max(1, listed):.1f} %)"
    raise SpeechError(f"{data}: {share} cannot be used: {reasons}; first {first}: {advice}")


def apart_from_eval(clips: list[Clip], features: Features) -> tuple[list[Clip], list[Exclusion]]:
    """The clips without those for training whose text or recording is also in the eval set.

    The eval set stays as it was given, so that results on it compare with others' results.
    """
    sha256 = features.records["sha256"]
    texts = {clip.text for clip in clips if clip.row.part == EVAL_PART}
    contents = {sha256[clip.at].tobytes() for clip in clips if clip.row.part == EVAL_PART}
    kept: list[Clip] = []
    exclusions: list[Exclusion] = []
    for clip in clips:
        if clip.row.part == EVAL_PART or (clip.text not in texts and sha256[clip.at].tobytes() not in contents):
            kept.append(clip)
        else:
            what = "text" if clip.text in texts else "recording"
            exclusions.append(Exclusion(clip.row.id, "in_eval", f"{clip.path}: its {what} is in the eval set too"))
    return kept, exclusions
