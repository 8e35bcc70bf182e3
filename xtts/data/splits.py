"""Which texts are trained on, which steer the search, and which only the verdict may see."""

import hashlib
from collections.abc import Iterable

TRAIN, VALIDATION, TEST = 0, 1, 2
SPLIT_NAMES = ("train", "validation", "test")

LEAST_TEXTS = 10
"""Fewest different texts that can be split: two each for validation and test, so that texts can be swapped."""
LEAST_EVAL_TEXTS = 4

_ENOUGH_TEST_TEXTS = 30
"""Up to so many texts the test split takes a second tenth: with 15 clips a verdict has half as much noise again
(docs/results-confirmation.md)."""
_SMALL = 40
"""Fewer texts than these are too few to learn from as it is."""


def split_texts(texts: Iterable[str], seed: int) -> dict[str, int]:
    """Split of each different text: about a tenth validation, a tenth test, the rest train.

    From 40 texts on two tenths, but at most 30 texts, are for test. Texts are ranked by a hash of seed and text, so
    adding some moves only the few at the two cuts. ValueError below LEAST_TEXTS.
    """
    ranked = _ranked(texts, seed)
    if len(ranked) < LEAST_TEXTS:
        raise ValueError(f"{len(ranked)} different texts")
    validation = max(2, round(len(ranked) / 10))
    test = min(len(ranked) // 5, _ENOUGH_TEST_TEXTS) if len(ranked) >= _SMALL else 0
    held_out = validation + max(validation, test)
    return {
        text: VALIDATION if rank < validation else TEST if rank < held_out else TRAIN
        for rank, text in enumerate(ranked)
    }


def split_eval_texts(texts: Iterable[str], seed: int) -> dict[str, int]:
    """Split of each different text of a given eval set, half and half; ValueError below LEAST_EVAL_TEXTS."""
    ranked = _ranked(texts, seed)
    if len(ranked) < LEAST_EVAL_TEXTS:
        raise ValueError(f"{len(ranked)} different eval texts")
    half = (len(ranked) + 1) // 2
    return {text: VALIDATION if rank < half else TEST for rank, text in enumerate(ranked)}


def _ranked(texts: Iterable[str], seed: int) -> list[str]:
    return sorted(set(texts), key=lambda text: hashlib.sha256(f"{seed}\0{text}".encode()).digest())
