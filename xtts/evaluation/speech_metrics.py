"""Differences of two mels of the same sentence: timbre, pitch, voicing and length.

All is measured on the mels themselves, aligned by dynamic time warping: what is judged is the model, not the
Griffin-Lim that makes its mels audible, and a clip against itself is exactly 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from xtts.audio.mel import FLOOR, MELS, FloatArray
from xtts.audio.pitch import pitch_of_mel

CEPSTRA = 13
_LEAST_VOICED = 10  # aligned frames (0.12 s) that a pitch error needs
_RESAMPLES = 2000

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Likeness:
    """Errors of one synthetic clip against the real one; 0 means equal."""

    mcd_db: float
    """Mel cepstral distortion, mean over the aligned frames: see mel_cepstra."""
    f0_cents: float | None
    """Mean absolute pitch error over aligned frames voiced in both; None where those are fewer than 10."""
    voicing_error: float
    """Share of the aligned frames that are voiced in one of the two only."""
    duration_error: float
    """Difference in length, as a share of the real length."""


def likeness(spoken: FloatArray, real: FloatArray) -> Likeness:
    """Errors of one un-normalised ln-mel [frames, mels] against the real one, whose number of frames may differ."""
    here, there, distance = aligned_frames(mel_cepstra(spoken), mel_cepstra(real))
    pitch, wanted = pitch_of_mel(spoken)[here], pitch_of_mel(real)[there]
    both = (pitch > 0.0) & (wanted > 0.0)
    cents = 1200.0 * np.abs(np.log2(pitch[both] / wanted[both]))
    return Likeness(
        mcd_db=float(distance.mean()),
        f0_cents=float(cents.mean()) if len(cents) >= _LEAST_VOICED else None,
        voicing_error=float(np.mean((pitch > 0.0) != (wanted > 0.0))),
        duration_error=abs(len(spoken) - len(real)) / len(real),
    )


def mel_cepstra(mel: FloatArray) -> Array:
    """Mel cepstra 1 to 13 of an ln-mel [frames, mels] -> [frames, 13], so scaled that a distance is a distortion in dB.

    The distance of two frames is 10 / ln 10 * sqrt(2 * sum of squared differences), as Kubichek (1993) has it, of the
    cosine series of the ln-amplitude over the mel bands: the root mean square difference, over the bands, of the two
    smoothed spectra. c0, which is loudness, is left out. Values hold for this mel (80 bands to 8 kHz) only.
    """
    bands = np.maximum(mel.astype(np.float64), np.log(FLOOR))
    cepstra: Array = scipy.fft.dct(bands, axis=1, norm="ortho")[:, 1 : CEPSTRA + 1]
    cepstra *= 20.0 / np.log(10.0) / np.sqrt(MELS)
    return cepstra


def aligned_frames(spoken: Array, real: Array) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """The path of least summed distance through two clips: frames of each, and their distances [steps] each."""
    from scipy.spatial.distance import cdist

    cost = cdist(spoken, real)
    here, there = _warping_path(cost)[::-1].T
    return here, there, cost[here, there]


def _warping_path(cost: Array) -> NDArray[np.int64]:
    """Dynamic time warping of costs [rows, columns] by steps of one in either or both: places [steps, 2], last first.

    The same path as librosa.sequence.dtw. It and numba compile for seconds in each worker of a new installation; so
    this goes over anti-diagonals, whose cells do not depend on each other.
    """
    rows, columns = cost.shape
    row, column = np.indices(cost.shape)
    skewed = np.full((rows + columns - 1, rows), np.inf)  # [row + column, row]
    skewed[row + column, row] = cost
    total = np.full((rows + columns + 1, rows + 1), np.inf)  # two before the first, and no row before the first
    total[0, 0] = 0.0
    for at, costs in enumerate(skewed):
        before = np.minimum(np.minimum(total[at, :-1], total[at + 1, :-1]), total[at + 1, 1:])
        total[at + 2, 1:] = costs + before
    path, here, there = [], rows - 1, columns - 1
    while True:
        path.append((here, there))
        if here == there == 0:
            return np.array(path)
        at = here + there
        both, left, up = total[at, here], total[at + 1, here + 1], total[at + 1, here]
        if both <= left and both <= up:
            here, there = here - 1, there - 1
        elif left <= up:
            there -= 1
        else:
            here -= 1


@dataclass(frozen=True)
class MeanInterval:
    """A mean over clips with its 95 % bootstrap interval; None where no clip has a value, bounds need two."""

    mean: float | None
    low: float | None
    high: float | None
    clips: int
    """How many had a value."""

    @classmethod
    def of(cls, values: Sequence[float | None]) -> MeanInterval:
        """Over the values that are there; the same values give the same interval."""
        known = np.array([value for value in values if value is not None])
        if len(known) == 0:
            return cls(None, None, None, 0)
        if len(known) == 1:
            return cls(float(known[0]), None, None, 1)
        drawn = np.random.default_rng(0).integers(0, len(known), (_RESAMPLES, len(known)))
        low, high = np.quantile(known[drawn].mean(axis=1), [0.025, 0.975])
        return cls(float(known.mean()), float(low), float(high), len(known))
