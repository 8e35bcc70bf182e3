"""Which texts are trained on, which steer the search, and which only the verdict may see."""

import hashlib
from collections.abc import Iterable

TRAIN, VALIDATION, TEST = 0, 1, 2
SPLIT_NAMES = ("train", "validation", "test")

LEAST_TEXTS = 10
"""Fewest different texts that can be split: two each for validation and test, so that texts can be swapped."""
LEAST_EVAL_TEXTS = 4


def split_texts(texts: Iterable[str], seed: int) -> dict[str, int]:
    """Split of each different text: about 80 % train, 10 % validation, 10 % test; ValueError below LEAST_TEXTS.

    Texts are ranked by a hash of seed and text, so adding some moves only the few at the two cuts.
    """
    ranked = _ranked(texts, seed)
    if len(ranked) < LEAST_TEXTS:
        raise ValueError(f"{len(ranked)} different texts")
    held_out = max(2, round(len(ranked) / 10))
    return {
        text: VALIDATION if rank < held_out else TEST if rank < 2 * held_out else TRAIN
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
