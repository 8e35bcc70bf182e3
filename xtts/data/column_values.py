"""What the columns of a metadata file without a header hold, by their values; what looks like two is refused."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from statistics import median

import numpy as np

from xtts.data.columns import FEWEST_ROWS, ID, IGNORED, IN_WORDS, NORMALISED, SPEAKER, TEXT, Columns, word_set
from xtts.errors import SpeechError

_LOOKED_AT = 500
_SIMILAR = 0.75
_SHARED_WORDS = 0.3
_LENGTH_CORRELATION = 0.6
_MOST_NAMES_PER_ROW = 0.5


_LANGUAGES = word_set(
    "af am ar as az be bg bn bo br bs ca ceb cs cy da de el en eo es et eu fa fi fil fr fy ga gl gu ha he hi hr"
    " hu hy id ig is it ja jv ka kab kk km kn ko ku ky la lb lg ln lo lt lv mg mi mk ml mn mr ms mt my nb ne nl nn"
    " no ny or pa pl ps pt ro ru rw sd si sk sl sn so sq sr st su sv sw ta te tg th tk tl tn tr tt ug uk ur uz vi"
    " wo xh yi yo zh zu eng deu ger fra fre spa ita por rus fas per ara zho chi jpn kor hin tur nld dut pol ukr"
    " english persian farsi german french spanish italian chinese japanese arabic turkish russian portuguese hindi"
    " korean"
)
_SPLITS = word_set("train training trn dev devel validation valid val eval evaluation test testing tst")
_LANGUAGE = re.compile(r"([A-Za-z]{2,10})([-_][A-Za-z]{2,4})?")
_WORD = re.compile(r"[^\W\d][\w .-]{0,30}")


def columns_by_content(rows: Sequence[Sequence[str]], is_recording: Callable[[str], bool]) -> Columns:
    """What the columns of a file without a header hold; SpeechError where that is not clear."""
    count = len(rows[0])
    if count == 2 or (count == 3 and len(rows) < FEWEST_ROWS):
        roles: tuple[str, ...] = (ID, TEXT) if count == 2 else (ID, TEXT, NORMALISED)
        swapped = _swapped(rows, is_recording) if count == 2 else None
        roles = swapped or roles
        return Columns(roles, " | ".join(IN_WORDS[role] for role in roles))
    step = max(1, len(rows) // _LOOKED_AT)
    looked_at = [tuple(field.strip() for field in row) for row in rows[::step]]
    values = list(zip(*looked_at, strict=True))
    ids = _id_column(values, is_recording)
    kinds = {at: _kind(values[at]) for at in range(count) if at != ids}
    texts = [at for at, kind in kinds.items() if kind == "text"]
    raw = None
    if not texts:
        texts = _texts_among_numbers(values, kinds)
    elif len(texts) == 1:
        # "7" next to "seven": the same text in figures, however few different ones there are.
        raw = next((at for at in kinds if at < texts[0] and _one_to_one(values[at], values[texts[0]])), None)
    if len(texts) == 2 and _alike(values[texts[0]], values[texts[1]]):
        raw, texts = texts[0], texts[1:]
    if len(texts) != 1:
        raise SpeechError(_unclear(values, ids, kinds, texts))
    text = texts[0]
    speaker = _speaker_column(values, kinds, text, raw, ids)
    roles_by_place = {ids: ID, text: TEXT} if raw is None else {ids: ID, raw: TEXT, text: NORMALISED}
    if speaker is not None:
        roles_by_place[speaker] = SPEAKER
    roles = tuple(roles_by_place.get(at, IGNORED) for at in range(count))
    said = " | ".join(_described(role, values[at], kinds.get(at, ""), values[text]) for at, role in enumerate(roles))
    return Columns(roles, said)


def _swapped(rows: Sequence[Sequence[str]], is_recording: Callable[[str], bool]) -> tuple[str, ...] | None:
    looked_at = rows[:20]
    if len(rows) < FEWEST_ROWS or any(is_recording(row[0].strip()) for row in looked_at):
        return None
    return (TEXT, ID) if all(is_recording(row[1].strip()) for row in looked_at) else None


def _id_column(values: Sequence[Sequence[str]], is_recording: Callable[[str], bool]) -> int:
    found = [sum(map(is_recording, column[:50])) for column in values]
    return int(np.argmax(found))


def _kind(column: Sequence[str]) -> str:
    """empty, number, language, split, code (another in most rows), name (few different short values) or text."""
    given = [value for value in column if value]
    if not given:
        return "empty"
    if sum(map(_is_number, given)) >= 0.95 * len(given):
        return "number"
    different = len(set(given))
    if different <= 40 and all(_is_language(value) for value in set(given)):
        return "language"
    if all(value.lower() in _SPLITS for value in set(given)):
        return "split"
    words = median(len(value.split()) for value in given)
    letters = median(sum(map(str.isalpha, value)) for value in given)
    if letters == 0:
        return "number"
    if different <= max(1, _MOST_NAMES_PER_ROW * len(given)) and words <= 3 and letters <= 30:
        return "name"
    spoken = any(not value.isascii() for value in given[:50]) and letters >= 5
    if words < 2 and not spoken and _looks_like_code(given):
        return "code"
    return "text"


def _is_number(value: str) -> bool:
    try:
        float(value.replace(",", ".", 1))
    except ValueError:
        return False
    return True


def _is_language(value: str) -> bool:
    match = _LANGUAGE.fullmatch(value)
    return bool(match and match[1].lower() in _LANGUAGES)


def _looks_like_code(values: Sequence[str]) -> bool:
    """spk01, p248, F_03, a/b/c.wav: one word with figures, underscores or slashes in most values."""
    return sum(bool(re.search(r"[\d_/\\:]", value)) for value in values) >= 0.8 * len(values)


def _one_to_one(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether the two columns say the same thing in two spellings."""
    pairs = set(zip(one, other, strict=True))
    return 1 < len(pairs) == len(set(one)) == len(set(other)) < len(one)


def _texts_among_numbers(values: Sequence[Sequence[str]], kinds: dict[int, str]) -> list[int]:
    """Few different texts, each spoken many times, look like names: the texts are the longer ones."""
    named = [at for at, kind in kinds.items() if kind == "name"]
    if len(named) == 1:
        return named
    lengths = {at: median(map(len, values[at])) for at in named}
    ranked = sorted(named, key=lambda at: -lengths[at])
    if len(ranked) > 1 and lengths[ranked[0]] > 2 * lengths[ranked[1]]:
        return ranked[:1]
    return []


def _alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two columns are raw and normalised text: most of the characters are the same."""
    pairs = [(_letters(a), _letters(b)) for a, b in zip(one, other, strict=True) if a and b][:40]
    if not pairs:
        return True
    ratios = [SequenceMatcher(None, a[:200], b[:200], autojunk=False).ratio() for a, b in pairs]
    shared = [len({*a.split()} & {*b.split()}) / max(1, min(len({*a.split()}), len({*b.split()}))) for a, b in pairs]
    return median(ratios) >= _SIMILAR or median(shared) >= _SHARED_WORDS


def _letters(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text.lower())
    return "".join(character for character in decomposed if character.isalnum() or character == " ")


def _speaker_column(
    values: Sequence[Sequence[str]], kinds: dict[int, str], text: int, raw: int | None, ids: int
) -> int | None:
    candidates = []
    for at, kind in kinds.items():
        if at in (text, raw) or kind in ("empty", "language", "split", "code", "text"):
            continue
        if kind == "number" and not _numbers_name_speakers(values[at], values[text]):
            continue
        candidates.append(at)
    varied = [at for at in candidates if len(set(values[at])) > 1]
    if len(varied) > 1 or (not varied and len(candidates) > 1):
        raise SpeechError(_unclear(values, ids, kinds, [text]))
    return next(iter(varied or candidates), None)


def _numbers_name_speakers(column: Sequence[str], texts: Sequence[str]) -> bool:
    """Whole numbers of which each stands in several rows, and which do not grow with the text."""
    given = [(value, len(text)) for value, text in zip(column, texts, strict=True) if value]
    if not all(re.fullmatch(r"-?\d+", value) for value, _ in given):
        return False
    different = len({value for value, _ in given})
    if different > max(1, _MOST_NAMES_PER_ROW * len(given)):
        return False
    return different == 1 or not _grows_with(*zip(*given, strict=True))


def _grows_with(column: Sequence[str], lengths: Sequence[int]) -> bool:
    numbers = np.array([float(value.replace(",", ".", 1)) if _is_number(value) else 0.0 for value in column])
    sizes = np.array(lengths, np.float64)
    if numbers.std() == 0 or sizes.std() == 0:
        return False
    return float(np.corrcoef(numbers, sizes)[0, 1]) > _LENGTH_CORRELATION


_NO_ROLE = {
    "empty": "empty",
    "language": "a language",
    "split": "train and test",
    "code": "codes, another in most rows",
}
"""Kinds of columns that are never read, in words"""


def _described(role: str, column: Sequence[str], kind: str, texts: Sequence[str]) -> str:
    if role == SPEAKER:
        different = sorted(set(column))
        return f"speaker ({len(different)}: {', '.join(different[:3])}{', ...' if len(different) > 3 else ''})"
    if role != IGNORED:
        return IN_WORDS[role]
    what = _NO_ROLE.get(kind, "names")
    if kind == "number":
        lengths = [len(text) for text in texts]
        if list(column) == [str(length) for length in lengths]:
            what = "the text's length"
        else:
            what = "numbers that grow with the text, such as seconds" if _grows_with(column, lengths) else "numbers"
    return f"not read ({what}: {next((value for value in column if value), '')})".replace(": )", ")")


def _unclear(values: Sequence[Sequence[str]], ids: int, kinds: dict[int, str], texts: Sequence[int]) -> str:
    shown = []
    for at, column in enumerate(values):
        example = next((value for value in column if value), "")
        kind = "the recording" if at == ids else {"name": "a name"}.get(kinds[at], kinds[at])
        shown.append(f"{at + 1} {kind} ({example[:30]!r})")
    several = "more than one column may be the text" if len(texts) > 1 else "no column is clearly the text"
    why = several if len(texts) != 1 else "more than one column may be the speaker"
    return f"{why}: {', '.join(shown)}: name the columns with --columns, for instance id,speaker,text"


def looks_like_header(first: Sequence[str], rows: Sequence[Sequence[str]], is_recording: Callable[[str], bool]) -> bool:
    """Whether a first line of words that no list here knows is a header: it has no recording and all others have."""
    fields = [field.strip() for field in first]
    if len(rows) < FEWEST_ROWS or len(set(fields)) != len(fields) or not all(map(_WORD.fullmatch, fields)):
        return False
    if any(map(is_recording, fields)) or any(len(field.split()) > 2 for field in fields):
        return False
    columns = list(zip(*[[field.strip() for field in row] for row in rows[:50]], strict=True))
    at = _id_column(columns, is_recording)
    if not all(map(is_recording, columns[at])):
        return False
    words = max(median(len(value.split()) for value in column) for column in columns)
    numbers = any(all(map(_is_number, filter(None, column))) for column in columns)
    coded = all(any(character.isdigit() for character in value) for value in columns[at])
    return (words >= 2 or numbers) and coded and not any(character.isdigit() for character in fields[at])
