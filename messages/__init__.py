"""What the program says to people, in each language: one catalogue per language, `en.yaml` and its translations.

A new language is one more YAML file in this folder with the keys and fields of `en.yaml`. This package imports
nothing else of the program, so that every part of it can use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGES: tuple[str, ...] = tuple(
    sorted(
        (path.name[:-5] for path in files(__name__).iterdir() if path.name.endswith(".yaml")),
        key=lambda n: (n != "en", n),
    )
)
"""English first."""


@cache
def catalogue(lang: str) -> Mapping[str, str]:
    """All texts of a language by dotted key; ValueError for a language without a catalogue."""
    if lang not in LANGUAGES:
        raise ValueError(f"language {lang!r}: expected {' or '.join(LANGUAGES)}")
    import yaml  # here, so that --help does not wait for it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where libyaml is there
    content = yaml.load((files(__name__) / f"{lang}.yaml").read_text(encoding="utf-8"), Loader=loader)
    return dict(_flat(content, ""))


def _flat(content: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", str(value)


def text(key: str, lang: str = "en", /, **values: object) -> str:
    """The text under `key` with its fields filled in; KeyError where there is none."""
    return Message(key, values).text(lang)


def known(key: str, lang: str, otherwise: str) -> str:
    """The text under `key`, or `otherwise` where there is none: for words that come from a file."""
    return catalogue(lang).get(key, otherwise)


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts under one heading of a language's catalogue, to be called with a key and its fields."""

    heading: str
    lang: str = "en"

    def __call__(self, key: str, /, **values: object) -> str:
        """The text under `heading.key`."""
        return text(f"{self.heading}.{key}", self.lang, **values)

    def known(self, key: str, otherwise: str) -> str:
        """The text under `heading.key`, or `otherwise` where there is none."""
        return known(f"{self.heading}.{key}", self.lang, otherwise)


@dataclass(frozen=True, slots=True)
class Message:
    """A text that is not yet in a language: its key, and the values of its fields, which may be messages too."""

    key: str
    values: Mapping[str, object] = field(default_factory=dict)

    def text(self, lang: str = "en") -> str:
        """The message in a language."""
        values = {
            name: value.text(lang) if isinstance(value, Message) else value for name, value in self.values.items()
        }
        return catalogue(lang)[self.key].format(**values)


def message(key: str, /, **values: object) -> Message:
    """A message from its key and fields."""
    return Message(key, values)
