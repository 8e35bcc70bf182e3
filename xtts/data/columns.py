"""What each column of a metadata file holds, from its header or from --columns; column_values.py reads the values.

A column that is no text (a speaker, a duration, a language) and is read as text trains a model on nonsense, and nothing
later on notices. So a column is text only where it looks like text, and what looks like two things is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from xtts.errors import SpeechError

ID, TEXT, NORMALISED, SPEAKER, IGNORED = "id", "text", "normalised", "speaker", "-"
ROLES = (ID, TEXT, NORMALISED, SPEAKER, IGNORED)
FEWEST_ROWS = 8
"""With fewer rows than this, values do not show what a column is: three columns are id, raw and normalised text."""
PLAIN_COLUMNS = "recording | text"
"""Columns that are left out without a note."""


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


_NAMES: dict[str, tuple[str, ...]] = {
    # Best first: where a header names two recordings or two texts, the first of this list counts.
    ID: (
        *("audiofile", "audiopath", "audiofilepath", "audiofilename", "wavfile", "wavfilename", "wavpath", "filepath"),
        *("filename", "file", "path", "audio", "wav", "wavs", "clip", "clipname", "recording", "fname", "sound"),
        *("basename", "uttid", "utteranceid", "utt", "id", "clipid", "segmentid", "key", "name"),
    ),
    TEXT: (
        *("text", "transcription", "transcript", "sentence", "transcripts", "sentences", "utterance", "caption"),
        *("rawtext", "raw", "rawtranscription", "originaltext", "content", "words", "script", "texte", "texto", "متن"),
    ),
    NORMALISED: (
        *("normalizedtext", "normalisedtext", "textnormalized", "textnormalised", "normalized", "normalised"),
        *("normalizedtranscription", "normalisedtranscription", "normtext", "cleantext", "cleanedtext", "norm"),
    ),
    SPEAKER: (
        *("speakername", "speaker", "speakerid", "spk", "spkid", "spkname", "speakeridx", "sid", "voice", "voiceid"),
        *("narrator", "reader", "clientid", "speakers", "گوینده"),
    ),
}
_OTHER_NAMES = word_set(
    "duration seconds length dur len characters chars language lang langid locale emotion emotionname style"
    " gender sex age accent accents upvotes downvotes split subset samplerate sr frames start end phonemes phoneme"
    " ipa variant"
)


@dataclass(frozen=True)
class Columns:
    """The role of each column, and in words what each was taken for and why."""

    roles: tuple[str, ...]
    said: str
    has_header: bool = False

    def at(self, role: str) -> int | None:
        """The column with this role."""
        return self.roles.index(role) if role in self.roles else None


def parse_columns(given: str) -> tuple[str, ...]:
    """The roles that --columns names; SpeechError says what is wrong with them."""
    roles = tuple(_role_of_word(word.strip()) for word in given.split(","))
    for needed in (ID, TEXT):
        if roles.count(needed) != 1:
            raise SpeechError(f"--columns {given!r}: name {needed} once, for instance id,speaker,text")
    for role in (NORMALISED, SPEAKER):
        if roles.count(role) > 1:
            raise SpeechError(f"--columns {given!r}: {role} stands more than once")
    return roles


def _role_of_word(word: str) -> str:
    name = _plain(word)
    for role, names in _NAMES.items():
        if name == role or name in names:
            return role
    if word in ("", "-", "_", "skip", "ignore", "ignored", "none") or name in _OTHER_NAMES:
        return IGNORED
    raise SpeechError(f"--columns: {word!r} is none of id, text, normalised, speaker and - (a column that is not read)")


def _plain(name: str) -> str:
    return re.sub(r"[\s_.\-\"'\u200c\ufeff]+", "", name).lower()


def header_of(first: Sequence[str]) -> dict[str, int] | None:
    """The columns that a first line names, by role; None if it is a clip. SpeechError if a header lacks one."""
    names = [_plain(field) for field in first]
    if not any(name in _NAMES[ID] for name in names):
        return None
    found: dict[str, int] = {}
    for role, known in _NAMES.items():
        best = sorted((known.index(name), at) for at, name in enumerate(names) if name in known)
        if best:
            found[role] = best[0][1]
    if NORMALISED in found and TEXT not in found:
        found[TEXT] = found.pop(NORMALISED)
    others = [at for at in range(len(names)) if at not in found.values()]
    is_coqui = "audiofile" in names
    if TEXT not in found and not is_coqui and not any(names[at] in _OTHER_NAMES for at in others) and len(found) < 2:
        return None  # the only word of the list is an id, such as "name" or "key"
    for role in (ID, TEXT):
        twice = role in found and names.count(names[found[role]]) > 1
        if role not in found or twice:
            header = "|".join(field.strip() for field in first)
            raise SpeechError(
                f"the header {header!r} wants one column {'text' if role == TEXT else 'audio_file'}: "
                "name the columns with --columns, for instance id,speaker,text"
            )
    return found


def columns_of_header(first: Sequence[str], found: dict[str, int]) -> Columns:
    """The columns as a header names them."""
    by_place = {at: role for role, at in found.items()}
    roles = tuple(by_place.get(at, IGNORED) for at in range(len(first)))
    said = " | ".join(
        f"{first[at].strip()} = {IN_WORDS[role]}" if role != IGNORED else f"{first[at].strip()} (not read)"
        for at, role in enumerate(roles)
    )
    return Columns(roles, f"{said} (by the header)", has_header=True)


IN_WORDS = {
    ID: "recording",
    TEXT: "text",
    NORMALISED: "normalised text",
    SPEAKER: "speaker",
    IGNORED: "not read",
}


def columns_as_given(roles: tuple[str, ...], has_header: bool) -> Columns:
    """The columns as --columns names them."""
    return Columns(roles, f"{' | '.join(IN_WORDS[role] for role in roles)} (by --columns)", has_header)
