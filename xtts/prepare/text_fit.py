"""Whether the texts of a data set can be those of its recordings, from the texts and the headers of the files."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xtts.data.build_dataset import listing_of
from xtts.prepare.letter_order import letter_order

MOST_CLIPS = 2000
"""Of a larger data set so many are looked at, evenly spread over its ids"""
LEAST_CLIPS = 20
LEAST_SPREAD = 0.3
"""Standard deviation of log length; texts or clips that are all of one length say nothing about each other"""
NO_AGREEMENT = 0.7
"""24 clips of real Spanish, Italian and Russian voices, 200 draws each: rank correlation 0.85 or more, permuted texts
0.59 or less. English and French voices, which were not looked at for it: 0.79 or more, 0.54 or less"""
REPEATED = 0.1
"""Share of the clips whose recording also has another text"""


@dataclass(frozen=True)
class TextFit:
    """What the texts of a data set look like next to its recordings; None where there is too little to say."""

    folder: str
    clips: int
    letter_order: float | None
    """See xtts.prepare.letter_order"""
    length_agreement: float | None
    """Rank correlation between the lengths of texts and of recordings"""
    repeated: float
    """Share of the clips whose recording is also another clip's, with another text"""
    confidence: float | None = None
    """Of the alignment, from 0 to 1, where an aligner has run"""


def text_fit(folder: Path) -> TextFit:
    """Look at the texts and recordings below a folder. SpeechError where it cannot be read as a data set."""
    listed = sorted(listing_of(folder).texts_and_recordings().values())
    some = [listed[at] for at in np.linspace(0, len(listed) - 1, min(len(listed), MOST_CLIPS)).astype(int)]
    texts, paths = [text for text, _ in some], [path for _, path in some]
    return TextFit(
        str(folder),
        len(listed),
        letter_order(texts),
        length_agreement(texts, [_seconds(path) for path in paths]),
        _repeated(some),
    )


def length_agreement(texts: Sequence[str], lengths: npt.ArrayLike) -> float | None:
    """Rank correlation (Spearman) of the texts' lengths with the recordings'; None where these hardly differ."""
    characters, spoken = np.array([len(text) for text in texts], float), np.asarray(lengths, float)
    used = (characters > 0) & (spoken > 0)
    pair = np.stack([characters[used], spoken[used]])
    if pair.shape[1] < LEAST_CLIPS or np.log(pair).std(axis=1).min() < LEAST_SPREAD:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(*pair).statistic)


def _seconds(path: str) -> float:
    """As the file's header states them; 0 where it has none that can be read."""
    import soundfile

    try:
        return float(soundfile.info(path).duration)
    except (OSError, RuntimeError):
        return 0.0


def _repeated(clips: Sequence[tuple[str, str]]) -> float:
    by_size: Mapping[int, list[tuple[str, str]]] = defaultdict(list)
    for text, path in clips:
        by_size[Path(path).stat().st_size].append((text, path))
    texts_of: Mapping[tuple[int, int], list[str]] = defaultdict(list)
    for size, group in by_size.items():
        for text, path in group if len(group) > 1 else ():
            texts_of[size, zlib.crc32(Path(path).read_bytes())].append(text)
    count = sum(len(texts) for texts in texts_of.values() if len(set(texts)) > 1)
    return count / len(clips) if clips else 0.0
