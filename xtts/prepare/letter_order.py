"""Whether the letters of texts stand in an order, as those of every language do, or were shuffled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

LEAST_PAIRS = 600
LEAST_PAIRS_A_LETTER = 20
"""With fewer, chance makes every pair of letters a rare one"""
MOST_TEXTS = 2000
NO_ORDER = 0.95
"""Nine voices, six languages, 900 to 1,500 letters each: 0.76 to 0.87; with their letters shuffled: 0.98 to 1.02"""


def letter_order(texts: Sequence[str]) -> float | None:
    """Uncertainty of a letter given the one before, over the same with the letters of each text shuffled.

    None where there is too little text, or too many letters as in Chinese, to say.
    """
    some = list(texts[:MOST_TEXTS])
    pairs, letters = sum(max(0, len(text) - 1) for text in some), len(set().union(*some))
    if pairs < max(LEAST_PAIRS, LEAST_PAIRS_A_LETTER * letters):
        return None
    rng = np.random.default_rng(0)
    shuffled = _uncertainty(["".join(rng.permutation(list(text))) for text in some])
    return _uncertainty(some) / shuffled if shuffled > 0 else None


def _uncertainty(texts: Sequence[str]) -> float:
    pairs = Counter(pair for text in texts for pair in pairwise(text))
    first: Counter[str] = Counter()
    for (letter, _), count in pairs.items():
        first[letter] += count
    counts = np.array(list(pairs.values()), float)
    before = np.array([first[letter] for letter, _ in pairs], float)
    return float(-(counts * np.log(counts / before)).sum() / counts.sum())
