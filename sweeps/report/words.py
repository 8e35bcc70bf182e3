"""What the page says, in English and Persian, from words/en.yaml and words/fa.yaml."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

from sweeps.common.errors import RequestError
from sweeps.common.strict_yaml import read_yaml_mapping
from sweeps.report.html import direction

FOLDER = Path(__file__).resolve().parent / "words"
LANGUAGES = ("en", "fa")
RIGHT_TO_LEFT = frozenset({"fa"})
LEFT_TO_RIGHT_ISOLATE, RIGHT_TO_LEFT_ISOLATE = "\u2066", "\u2067"
FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"


class Words(Formatter):
    """The page's sentences in one language; RequestError for a language that there is none of."""

    def __init__(self, lang: str = "en") -> None:
        if lang not in LANGUAGES:
            raise RequestError(f"--lang {lang!r}: expected {' or '.join(LANGUAGES)}")
        self.lang = lang
        self.direction = "rtl" if lang in RIGHT_TO_LEFT else "ltr"
        self._texts = texts(lang)

    def __call__(self, key: str, /, **fields: object) -> str:
        """The sentence under `key` with its fields; KeyError where there is none."""
        return self.vformat(self._texts[key], (), fields)

    def known(self, key: str, otherwise: str) -> str:
        """The word under `key`, or `otherwise`."""
        return self._texts.get(key, otherwise)

    def label(self, text: str) -> str:
        """A text for a chart, whose own direction is left to right."""
        return f"{RIGHT_TO_LEFT_ISOLATE}{text}{POP_ISOLATE}" if self.direction == "rtl" else text

    def format_field(self, value: Any, format_spec: str) -> str:
        """A field that cannot turn the direction of the sentence around it."""
        shown = str(super().format_field(value, format_spec))
        if self.direction == "ltr" and shown.isascii():
            return shown
        start = LEFT_TO_RIGHT_ISOLATE if direction(shown) == "ltr" else FIRST_STRONG_ISOLATE
        return f"{start}{shown}{POP_ISOLATE}"


@lru_cache(maxsize=len(LANGUAGES))
def texts(lang: str) -> dict[str, str]:
    """All sentences of a language by key."""
    return {str(key): str(text) for key, text in read_yaml_mapping(FOLDER / f"{lang}.yaml").items()}
