"""Markup that cannot be injected into: every text is escaped unless it was built here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from unicodedata import bidirectional

UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
PLAIN = re.compile(r"[\w.]*")
VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})
CODE = re.compile(r"`([^`\n]+)`|(?<![\w-])(--[a-z][\w-]*)")


class Html(str):
    """Markup; any other text is escaped when it meets markup."""


Child = object
"""A text, Html, a number, None (nothing), or an iterable of children."""


def tag(name: str, /, *children: Child, **attributes: object) -> Html:
    """An element; `class_` becomes class and `data_trial` data-trial, None and False leave an attribute out."""
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Children one after the other, escaped where they are plain text."""
    return Html("".join(_child(child) for child in children))


def marked(text: str) -> Html:
    """Escaped text in which `backticks` set off code, and --options are code without them."""
    parts: list[Child] = []
    at = 0
    for found in CODE.finditer(text):
        parts += [text[at : found.start()], tag("code", found[1] or found[2], dir="ltr")]
        at = found.end()
    return join(*parts, text[at:])


def sentence(text: str) -> Html:
    """A sentence in whatever language, in the direction of most of its letters; as `marked`."""
    kinds = [bidirectional(letter) for letter in text]
    is_rtl = kinds.count("R") + kinds.count("AL") > kinds.count("L")
    return tag("bdi", marked(text), dir="rtl" if is_rtl else "ltr")


def own(text: object) -> Html:
    """Text from outside that keeps its own direction and cannot turn that of its surroundings."""
    return tag("bdi", str(text), dir=direction(str(text)))


def cell(value: Child) -> Child:
    """What a table's cell holds: as `own`, but plain numbers and words need nothing around them."""
    return (
        own(value) if isinstance(value, str) and not isinstance(value, Html) and not PLAIN.fullmatch(value) else value
    )


def direction(text: str) -> str:
    """ltr for what holds no right-to-left letter, such as -3.2 or 1.4×, else left to the text's first letter."""
    return "auto" if any(bidirectional(letter) in ("R", "AL") for letter in text) else "ltr"


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return str(child)
    if isinstance(child, str):
        return _escape(child)
    if isinstance(child, float):
        return _number(child)
    if isinstance(child, Iterable):
        return join(*child)
    return _escape(str(child))


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    return f' {name}="{_number(value) if isinstance(value, float) else _escape(str(value))}"'


def _escape(text: str) -> str:
    return escape(UNPRINTABLE.sub("\ufffd", text))


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
