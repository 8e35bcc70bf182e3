"""The page's texts from the message catalogues, with fields that keep their own direction of writing."""

from __future__ import annotations

from string import Formatter
from typing import Any

from messages import LANGUAGES, catalogue, known
from sweeps.common.errors import RequestError
from sweeps.report.html import direction

RIGHT_TO_LEFT = frozenset({"fa"})
LEFT_TO_RIGHT_ISOLATE, RIGHT_TO_LEFT_ISOLATE = "\u2066", "\u2067"
FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"


class Words(Formatter):
    """The page's sentences in one language; RequestError for a language that without a catalogue."""

    def __init__(self, lang: str = "en") -> None:
        if lang not in LANGUAGES:
            raise RequestError(f"--lang {lang!r}: expected {' or '.join(LANGUAGES)}")
        self.lang = lang
        self.direction = "rtl" if lang in RIGHT_TO_LEFT else "ltr"

    def __call__(self, key: str, /, **fields: object) -> str:
        """The sentence under `key` with its fields; KeyError where there is none."""
        return self.vformat(catalogue(self.lang)[f"report.{key}"], (), fields)

    def known(self, key: str, otherwise: str) -> str:
        """The word under `key`, or `otherwise`."""
        return known(f"report.{key}", self.lang, otherwise)

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
