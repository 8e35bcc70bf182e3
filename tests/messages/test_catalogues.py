"""The message catalogues: every language has every text with the same fields, and every text is used."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Formatter

import pytest

from messages import LANGUAGES, catalogue, known, message, text
from sweeps.common.strict_yaml import read_yaml_mapping
from tests import ROOT

OTHERS = [lang for lang in LANGUAGES if lang != "en"]


def fields(shown: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(shown) if name}


@pytest.mark.parametrize("lang", OTHERS)
def test_every_language_has_the_keys_and_the_fields_of_english(lang: str) -> None:
    english, other = catalogue("en"), catalogue(lang)
    assert english.keys() == other.keys()
    assert [key for key in english if fields(english[key]) != fields(other[key])] == []


def test_no_persian_text_was_left_in_english() -> None:
    assert [key for key, shown in catalogue("fa").items() if not re.search("[\u0600-\u06ff{]", shown)] == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_catalogue_has_a_key_twice(lang: str) -> None:
    assert read_yaml_mapping(Path(str(files("messages") / f"{lang}.yaml")))


def test_every_key_is_used() -> None:
    """A key is in the source from its first, second or a later part on, or up to a field of an f-string."""
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("sweeps", "xtts", "xtts_sweep")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".html")
    )
    whole = set(re.findall(r"""["'](\w[\w. ]*)["']""", source))
    begun = tuple(set(re.findall(r"""f["'](\w+[._][\w.]*){""", source)))
    codes = set(re.findall(r"""["'](\w+)["']""", source))

    def used(key: str) -> bool:
        if key.startswith("findings."):
            return key == "findings.counted" or key.split(".")[1] in codes
        ends = (key, key.partition(".")[2])
        return any(end in whole or (end.startswith(begun) and bool(begun)) for end in ends)

    assert [key for key in catalogue("en") if not used(key)] == []


def test_a_message_takes_messages_as_values_in_its_own_language() -> None:
    amount = message("verdict.lower", percent=4.26)
    note = message("verdict.baseline_better", name="GradNorm", side=message("verdict.side.default"), amount=amount)
    assert note.text() == "GradNorm, which needs no sweep, is better than the default: 4.3 % lower."
    assert "4.3 درصد کمتر" in note.text("fa")
    assert "پیش‌فرض" in note.text("fa")


def test_a_language_without_a_catalogue_and_a_key_without_a_text_are_errors() -> None:
    with pytest.raises(ValueError, match="language 'xx': expected en or fa"):
        text("verdict.keep", "xx")
    with pytest.raises(KeyError, match=r"verdict\.nothing"):
        text("verdict.nothing")
    assert known("verdict.nothing", "fa", "nothing") == "nothing"
