"""Texts of the page: the catalogue's sentences, and markup for text whose direction of writing is not the page's."""

from __future__ import annotations

import re
from string import Formatter
from typing import Any
from unicodedata import bidirectional

from markupsafe import Markup, escape

from messages import LANGUAGES, catalogue, known
from sweeps.common.errors import RequestError

PLAIN = re.compile(r"[\w.]*")
CODE = re.compile(r"`([^`\n]+)`|(?<![\w-])(--[a-z][\w-]*)")
LEFT_TO_RIGHT_ISOLATE, RIGHT_TO_LEFT_ISOLATE = "\u2066", "\u2067"
FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"


class Words(Formatter):
    """The page's texts in one language; RequestError for a language without a catalogue."""

    def __init__(self, lang: str = "en") -> None:
        if lang not in LANGUAGES:
            raise RequestError(f"--lang {lang!r}: expected {' or '.join(LANGUAGES)}")
        self.lang = lang
        self.direction = "rtl" if _is_right_to_left(self("sweep_report")) else "ltr"

    def __call__(self, key: str, /, **fields: object) -> str:
        """The text under `key` with its fields; KeyError where there is none."""
        return self.vformat(catalogue(self.lang)[f"report.{key}"], (), fields)

    def known(self, key: str, otherwise: str) -> str:
        """The text under `key`, or `otherwise`."""
        return known(f"report.{key}", self.lang, otherwise)

    def label(self, text: str) -> str:
        """A text for a chart, whose own direction is left to right."""
        return f"{RIGHT_TO_LEFT_ISOLATE}{text}{POP_ISOLATE}" if self.direction == "rtl" else text

    def format_field(self, value: Any, format_spec: str) -> str:
        """A field that cannot turn the direction of the sentence around it."""
        shown = str(super().format_field(value, format_spec))
        if shown.isascii() and getattr(self, "direction", "ltr") == "ltr":
            return shown
        start = LEFT_TO_RIGHT_ISOLATE if direction(shown) == "ltr" else FIRST_STRONG_ISOLATE
        return f"{start}{shown}{POP_ISOLATE}"


def marked(text: str) -> Markup:
    """Escaped text in which `backticks` set off code, and --options are code without them."""
    parts: list[str] = []
    at = 0
    for found in CODE.finditer(text):
        parts += [text[at : found.start()], Markup('<code dir="ltr">{}</code>').format(found[1] or found[2])]
        at = found.end()
    return Markup("").join([*parts, text[at:]])


def sentence(text: str) -> Markup:
    """A sentence in any language, in the direction of most of its letters; as `marked`."""
    return Markup('<bdi dir="{}">{}</bdi>').format("rtl" if _is_right_to_left(text) else "ltr", marked(text))


def own(text: object) -> Markup:
    """Text from outside that keeps its own direction and cannot turn that of its surroundings."""
    return Markup('<bdi dir="{}">{}</bdi>').format(direction(str(text)), str(text))


def cell(value: object) -> object:
    """What a table's cell holds: as `own`, but plain numbers and words need nothing around them."""
    if value is None:
        return ""
    return value if isinstance(value, Markup) or PLAIN.fullmatch(str(value)) else own(value)


def quiet(text: object) -> Markup:
    """Text in the quiet colour."""
    return Markup('<span class="quiet">{}</span>').format(escape(text))


def direction(text: str) -> str:
    """ltr for what holds no right-to-left letter, such as -3.2 or 1.4×, else auto: that of the text's first letter."""
    return "auto" if any(bidirectional(letter) in ("R", "AL") for letter in text) else "ltr"


def _is_right_to_left(text: str) -> bool:
    kinds = [bidirectional(letter) for letter in text]
    return kinds.count("R") + kinds.count("AL") > kinds.count("L")
