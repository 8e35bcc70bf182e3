"""Texts have one spelling, and tokens stand for it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xtts.data.text import Vocabulary, dropped, has_letters, is_turkic, normalise


@pytest.mark.parametrize(
    ("given_text", "wanted"),
    [
        ("Hello,   World!", "hello, world!"),
        ("\tone\u00a0two\u2003three \r\n", "one two three"),
        ("علي كتاب", "علی کتاب"),
        ("۱۲۳ ٤٥٦ 789", "123 456 789"),
        ("می‌روم", "میروم"),
        ("ســلام", "سلام"),
        ("ﻼ", "لا"),
        ("cafe\u0301", "café"),
        ("“don’t” – he said…", '"don\'t" - he said...'),
        ("a\x00b\x07c", "abc"),
        ("tea ☕ for 2 😀", "tea for 2"),
        ("STRASSE straße", "strasse straße"),
        ("چه صبح زیبایی؟", "چه صبح زیبایی؟"),
        ("5 % of 3 € & 7°", "5 % of 3 € & 7°"),
        ("۵٪", "5%"),
        ("Işık IŞIL İzmir İstanbul", "ışık ışıl izmir istanbul"),
        (
            "Istanbul is İzmir's neighbour in many long English sentences",
            "istanbul is izmir's neighbour in many long english sentences",
        ),
        ("ﬁne Ｆｕｌｌ　１２", "fine full 12"),
        ("你好。𠮷野家、", "你好.𠮷野家,"),
    ],
)
def test_a_text_has_one_spelling(given_text, wanted):
    assert normalise(given_text) == wanted


@given(st.text())
def test_any_text_is_normalised_once_and_for_all(text):
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == " ".join(once.split())


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_texts_take_the_same_way_as_others(text):
    assert normalise(text + " é") == (normalise(text) + " é").strip()


@pytest.mark.parametrize("text", ["", "...", "؟!", "- - -", "\u064b"])
def test_a_text_without_letters_or_digits_says_nothing(text):
    assert not has_letters(normalise(text))


@pytest.mark.parametrize("text", ["a", "7", "٣", "ک", "...x"])
def test_a_letter_or_digit_is_something_to_say(text):
    assert has_letters(normalise(text))


def test_a_vocabulary_is_the_corpus_and_the_word_boundary():
    assert Vocabulary.of(["ab c", "cd"]).symbols == (" ", "a", "b", "c", "d")


def test_tokens_have_a_boundary_at_both_ends_and_between_words():
    vocabulary = Vocabulary.of(["ab c"])
    assert vocabulary.encode("  AB  c ") == [0, 1, 2, 0, 3, 0]


def test_unknown_characters_are_dropped_without_a_trace():
    vocabulary = Vocabulary.of(["ab c"])
    assert vocabulary.encode("axb 9 c") == vocabulary.encode("ab c")


def test_a_text_of_unknown_characters_is_one_silence():
    assert Vocabulary.of(["ab"]).encode("xyz") == [0, 0]


def test_what_is_not_spoken_is_counted():
    assert dropped("(wow)\u200d ~ok~ 😀 5 %\n") == {"(": 1, ")": 1, "~": 2, "😀": 1}


def test_the_capitals_of_a_turkish_set_are_turkish_in_every_text_of_it():
    assert is_turkic(["Irmak", "kapı açıldı", "yandı"])
    assert not is_turkic(["I met Kılıç"] + ["an English sentence of some length"] * 20)
    vocabulary = Vocabulary.of(["ırmak"], turkic=True)
    assert vocabulary.encode("IRMAK") == vocabulary.encode("ırmak")


def test_characters_that_a_vocabulary_lacks_are_named():
    assert Vocabulary.of(["ab c"]).unknown("abx c~ xQ") == "xq~"
