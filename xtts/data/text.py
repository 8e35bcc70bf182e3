"""Text as the model reads it: one spelling for each letter, and numbers for characters."""

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

BOUNDARY = " "
"""Stands between words and at both ends of every text: the place where silence goes."""

_PUNCTUATION = frozenset(".,!?;:'-\"،؛؟")
_SPELLINGS = str.maketrans(
    {
        **{chr(base + digit): str(digit) for base in (0x06F0, 0x0660) for digit in range(10)},
        "ي": "ی",
        "ى": "ی",
        "ك": "ک",
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
        "–": "-",
        "—": "-",
        "‐": "-",
        "‑": "-",
        "…": "...",
    }
)
_PRESENTATION_FORM = re.compile("[\ufb50-\ufdff\ufe70-\ufefc]")


def normalise(text: str) -> str:
    """One spelling of a text: NFC, lower case, Persian letter forms, ASCII digits, single spaces; never raises.

    Lower case rather than case folding: folding writes "ss" for "ß" and would teach two spellings of one sound.
    Characters that are neither letters, digits nor common punctuation are left out.
    """
    if not text.isascii():
        text = _PRESENTATION_FORM.sub(lambda form: unicodedata.normalize("NFKC", form.group()), text)
        text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).translate(_SPELLINGS).lower())
        text = unicodedata.normalize("NFC", "".join(c if _is_spoken(c) else " " if c.isspace() else "" for c in text))
    else:
        text = "".join(c if _is_spoken(c) else " " if c.isspace() else "" for c in text.lower())
    return " ".join(text.split())


def _is_spoken(character: str) -> bool:
    return character in _PUNCTUATION or unicodedata.category(character)[0] in "LMN"


def has_letters(text: str) -> bool:
    """Whether a normalised text has anything to say: a letter or a digit."""
    return any(unicodedata.category(character)[0] in "LN" for character in text)


@dataclass(frozen=True)
class Vocabulary:
    """The characters a model knows, in token order; token 0 is the word boundary."""

    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.symbols or self.symbols[0] != BOUNDARY or len(set(self.symbols)) != len(self.symbols):
            raise ValueError(f"a vocabulary is distinct symbols that begin with {BOUNDARY!r}, not {self.symbols!r}")

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Vocabulary":
        """The vocabulary of normalised texts, in code point order."""
        return cls((BOUNDARY, *sorted(set().union(*map(set, texts)) - {BOUNDARY})))

    def __len__(self) -> int:
        return len(self.symbols)

    @cached_property
    def _token_of(self) -> dict[str, int]:
        return {symbol: token for token, symbol in enumerate(self.symbols)}

    def encode(self, text: str) -> list[int]:
        """Tokens of a text as given by a person, with a boundary at both ends; unknown characters are dropped."""
        token_of = self._token_of
        known = "".join(character for character in normalise(text) if character in token_of)
        return [0, *(token_of[character] for character in " ".join(known.split())), 0]

    def to_json(self) -> str:
        """The symbols as a JSON list."""
        return json.dumps(list(self.symbols), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Vocabulary":
        """The vocabulary that to_json wrote; ValueError if it is not one."""
        symbols = json.loads(text)
        if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
            raise ValueError("a vocabulary is a JSON list of strings")
        return cls(tuple(symbols))
