"""Text as the model reads it: one spelling for each letter, and numbers for characters."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property

BOUNDARY = " "
"""Stands between words and at both ends of every text: the place where silence goes."""

_PUNCTUATION = frozenset(".,!?;:'-\"،؛؟")
_SPOKEN_SYMBOLS = frozenset("%&@#+=*/°×÷±√‰§<>№℃℉")
"""Symbols that people say as words; currency signs are kept too."""
_SPELLINGS = str.maketrans(
    {
        **{chr(base + digit): str(digit) for base in (0x06F0, 0x0660) for digit in range(10)},
        "ي": "ی",
        "ى": "ی",
        "ك": "ک",
        "٪": "%",
        "\u0640": None,  # tatweel stretches a line, not a sound
        "\u200c": None,  # the zero-width non-joiner is written by some and left out by others
        "\u200d": None,
        "\ufeff": None,
        "\u00ad": None,
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "«": '"',
        "»": '"',
        "「": '"',
        "」": '"',
        "–": "-",
        "—": "-",
        "‐": "-",
        "‑": "-",
        "−": "-",
        "…": "...",
        "。": ".",
        "।": ".",
        "、": ",",
        "İ": "i",  # lower() splits it into an i and a dot
    }
)
_TURKIC = str.maketrans({"I": "ı"})
_TURKIC_SHARE = 0.005
"""Share of all characters from which on dotless i says that capitals follow the Turkish rule."""
_TURKIC_SHARE_OF_ONE = 0.03
"""The same of one text alone, which may be another language with a Turkish name in it."""
_COMPATIBILITY = re.compile("[\ufb00-\ufb06\ufb13-\ufb17\ufb50-\ufdff\ufe70-\ufefc\uff01-\uffee\U0001d400-\U0001d7ff]")
"""Other forms of letters and signs: ligatures, presentation forms, full and half width, mathematical letters."""


def normalise(text: str, *, turkic: bool | None = None) -> str:
    """One spelling of a text: NFC, lower case, Persian letter forms, ASCII digits, single spaces; never raises.

    Lower case rather than case folding: folding writes "ss" for "ß" and would teach two spellings of one sound.
    Characters that are not spoken are left out; `dropped` counts them. `turkic`: whether capital I is a dotless one;
    None decides by the text itself.
    """
    spelled = _spelled(text, turkic)
    kept = "".join(c if _is_spoken(c) else " " if c.isspace() else "" for c in spelled)
    return " ".join((kept if kept.isascii() else unicodedata.normalize("NFC", kept)).split())


def dropped(text: str) -> Counter[str]:
    """The visible characters that normalise leaves out."""
    return Counter(c for c in _spelled(text, None) if not _is_spoken(c) and not c.isspace() and _is_visible(c))


def is_turkic(texts: Iterable[str], share: float = _TURKIC_SHARE) -> bool:
    """Whether the capitals of these texts follow the Turkish rule (I is a dotless i, İ a dotted one)."""
    characters = marks = 0
    for text in texts:
        characters += len(text)
        marks += text.count("ı") + text.count("İ")
    return marks > share * characters


def _spelled(text: str, turkic: bool | None) -> str:
    if text.isascii():
        return (text.translate(_TURKIC) if turkic else text).lower()
    if turkic is None:
        turkic = is_turkic([text], _TURKIC_SHARE_OF_ONE)
    text = _COMPATIBILITY.sub(lambda form: unicodedata.normalize("NFKC", form.group()), text)
    text = unicodedata.normalize("NFC", text)
    if turkic:
        text = text.translate(_TURKIC)
    return unicodedata.normalize("NFC", text.translate(_SPELLINGS).lower())


@cache
def _is_spoken(character: str) -> bool:
    if character in _PUNCTUATION or character in _SPOKEN_SYMBOLS:
        return True
    category = unicodedata.category(character)
    return category[0] in "LMN" or category == "Sc" or _is_new_ideograph(character)


def _is_new_ideograph(character: str) -> bool:
    """Whether it lies in the planes of rare ideographs, of which Python's tables may not know the newest."""
    return 0x20000 <= ord(character) < 0x3FFFE


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp")


def has_letters(text: str) -> bool:
    """Whether a normalised text has anything to say: a letter or a digit."""
    return any(unicodedata.category(character)[0] in "LN" or _is_new_ideograph(character) for character in text)


def spoken_length(text: str) -> int:
    """Characters of a text, an ideograph or a syllable sign counted as the three letters that it is worth."""
    return len(text) + 2 * sum(0x2E80 <= ord(character) < 0xA4D0 or ord(character) >= 0xAC00 for character in text)


@dataclass(frozen=True)
class Vocabulary:
    """The characters a model knows, in token order; token 0 is the word boundary."""

    symbols: tuple[str, ...]
    turkic: bool = False
    """Whether a capital I in its texts is a dotless one."""

    def __post_init__(self) -> None:
        if not self.symbols or self.symbols[0] != BOUNDARY or len(set(self.symbols)) != len(self.symbols):
            raise ValueError(f"a vocabulary is distinct symbols that begin with {BOUNDARY!r}, not {self.symbols!r}")

    @classmethod
    def of(cls, texts: Iterable[str], *, turkic: bool = False) -> "Vocabulary":
        """The vocabulary of normalised texts, in code point order."""
        return cls((BOUNDARY, *sorted(set().union(*map(set, texts)) - {BOUNDARY})), turkic)

    def __len__(self) -> int:
        return len(self.symbols)

    @cached_property
    def _token_of(self) -> dict[str, int]:
        return {symbol: token for token, symbol in enumerate(self.symbols)}

    def encode(self, text: str) -> list[int]:
        """Tokens of a text as given by a person, with a boundary at both ends; `unknown` names what is left out."""
        token_of = self._token_of
        known = "".join(character for character in self._normalised(text) if character in token_of)
        return [0, *(token_of[character] for character in " ".join(known.split())), 0]

    def unknown(self, text: str) -> str:
        """The characters of a text that encode leaves out, each once: no clip of the training data has them."""
        missing = [character for character in self._normalised(text) if character not in self._token_of]
        return "".join(dict.fromkeys([*missing, *dropped(text)]))

    def _normalised(self, text: str) -> str:
        return normalise(text, turkic=self.turkic)
