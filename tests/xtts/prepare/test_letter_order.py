"""Letters of a language stand in an order; shuffled ones do not, and too little text says nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import xtts.prepare
from xtts.prepare.letter_order import NO_ORDER, letter_order

SENTENCES = Path(xtts.prepare.__file__).parent / "demo_sentences"


@pytest.mark.parametrize("language", ["en", "fa"])
@pytest.mark.parametrize("seed", range(5))
def test_a_language_has_an_order_and_its_shuffled_letters_have_none(language: str, seed: int) -> None:
    texts = (SENTENCES / f"{language}.txt").read_text("utf-8").lower().splitlines()
    rng = np.random.default_rng(100 + seed)
    some = [texts[at] for at in rng.permutation(len(texts))[:40]]
    shuffled = ["".join(rng.permutation(list(text))) for text in some]
    order, without = letter_order(some), letter_order(shuffled)
    assert order is not None
    assert without is not None
    assert order < NO_ORDER - 0.05 < NO_ORDER + 0.02 < without


def test_too_little_text_or_too_many_letters_are_unknown() -> None:
    assert letter_order([]) is None
    assert letter_order(["a short text"] * 20) is None
    assert letter_order(["".join(map(chr, range(0x4E00, 0x4E00 + 500)))] * 4) is None
    assert letter_order(["a" * 700]) is None
