"""The pitch that a mel itself carries, without a vocoder and without the recording.

Below 1.2 kHz the mel's bands are 37 Hz apart and keep a voice's harmonics. They give back the power spectrum there, the
power spectrum's transform is the frame's autocorrelation, and Boersma's method (1993, "Accurate short-term analysis of
the fundamental frequency", which Praat uses) finds the pitch in that: no phases are made up, as Griffin-Lim does.
benchmarks/speech_figures.py measures it against known tones and against Praat on the recordings.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from xtts.audio.mel import FLOOR, N_FFT, SAMPLE_RATE, FloatArray, mel_filters

LOWEST_HZ, HIGHEST_HZ = 75.0, 600.0

_TOP_HZ = 1200.0
_LEAST_BIN = 2  # 43 Hz: below lies hum
_ITERATIONS = 60
# Boersma's costs, with his names and Praat's values.
_VOICING_THRESHOLD = 0.45
_SILENCE_THRESHOLD = 0.03
_OCTAVE_COST = 0.01
_OCTAVE_JUMP_COST = 0.35
_VOICED_UNVOICED_COST = 0.14
_CANDIDATES = 8

Array = NDArray[np.float64]


def pitch_of_mel(mel: FloatArray) -> Array:
    """Hz of each frame of an un-normalised ln-mel [frames, mels] -> [frames]; 0 where there is no voice.

    Frames more than 30 dB below the clip's loudest count as silence.
    """
    power = _low_power(np.maximum(mel, np.float32(np.log(FLOOR))))
    hz, strength = _candidates(_autocorrelation(power))
    loudness = np.sqrt(power.sum(axis=1))
    quiet = 2.0 - loudness / loudness.max(initial=1e-12) * (1.0 + _VOICING_THRESHOLD) / _SILENCE_THRESHOLD
    hz[:, 0], strength[:, 0] = 0.0, _VOICING_THRESHOLD + np.maximum(0.0, quiet)
    return _best_path(hz, strength)


def _low_power(mel: FloatArray) -> Array:
    """Power below 1.2 kHz [frames, bins] whose mel is closest: multiplicative updates (Lee and Seung, 2001)."""
    filters, inverse = _low_filters()
    target = np.exp(mel[:, : len(filters)].astype(np.float64))
    wanted, gram = target @ filters, filters.T @ filters
    magnitude = np.maximum(target @ inverse, 1e-7)
    for _ in range(_ITERATIONS):
        magnitude *= wanted / np.maximum(magnitude @ gram, 1e-12)
    power: Array = np.square(magnitude)
    power[:, :_LEAST_BIN] = 0.0
    return power


@lru_cache(maxsize=1)
def _low_filters() -> tuple[Array, Array]:
    """The filters that end below 1.2 kHz [bands, bins], and the transpose of their pseudo-inverse."""
    bins = int(_TOP_HZ / SAMPLE_RATE * N_FFT)
    filters = mel_filters().astype(np.float64)
    low = filters[~filters[:, bins:].any(axis=1), :bins]
    return low, np.linalg.pinv(low).T.astype(np.float64)


def _autocorrelation(power: Array) -> Array:
    """Normalised autocorrelation [frames, lags] of what the analysis window saw, freed of the window's own."""
    lags = int(SAMPLE_RATE / LOWEST_HZ) + 3
    raw = scipy.fft.irfft(np.pad(power, ((0, 0), (0, N_FFT // 2 + 1 - power.shape[1]))), axis=1)[:, :lags]
    window = scipy.fft.irfft(np.abs(scipy.fft.rfft(np.hanning(N_FFT + 1)[:-1])) ** 2)[:lags]
    out: Array = raw / np.maximum(raw[:, :1], 1e-20) / (window / window[0])
    return out


def _candidates(correlation: Array) -> tuple[Array, Array]:
    """Hz and strength of each frame's strongest peaks [frames, 8]; the first place is left for "no voice"."""
    before, here, after = correlation[:, :-2], correlation[:, 1:-1], correlation[:, 2:]
    lag = np.arange(1, correlation.shape[1] - 1)
    slope, bend = (after - before) / 2.0, np.minimum((after + before) / 2.0 - here, -1e-12)
    hz = SAMPLE_RATE / (lag + np.clip(-slope / (2.0 * bend), -0.5, 0.5))
    peak = (here > before) & (here >= after) & (hz >= LOWEST_HZ) & (hz <= HIGHEST_HZ)
    height = np.minimum(here - slope**2 / (4.0 * bend), 1.0)
    strength = np.where(peak, height + _OCTAVE_COST * np.log2(hz / LOWEST_HZ), -np.inf)
    best = np.argsort(-strength, axis=1, kind="stable")[:, : _CANDIDATES - 1]
    first = ((0, 0), (1, 0))
    found: Array = np.pad(np.take_along_axis(hz, best, axis=1), first)
    how_strong: Array = np.pad(np.take_along_axis(strength, best, axis=1), first)
    return found, how_strong


def _best_path(hz: Array, strength: Array) -> Array:
    """The candidate of each frame that makes the clip's strongest path (Viterbi) [frames]."""
    voiced = hz > 0.0
    octave = np.log2(np.where(voiced, hz, 1.0))
    score, came_from = strength[0], np.zeros(hz.shape, dtype=np.int64)
    for frame in range(1, len(hz)):
        jump = _OCTAVE_JUMP_COST * np.abs(octave[frame - 1][:, None] - octave[frame])
        either = voiced[frame - 1][:, None] | voiced[frame]
        both = voiced[frame - 1][:, None] & voiced[frame]
        total = score[:, None] - np.where(both, jump, _VOICED_UNVOICED_COST * either)
        came_from[frame] = total.argmax(axis=0)
        score = total.max(axis=0) + strength[frame]
    path = np.zeros(len(hz))
    best = int(score.argmax())
    for frame in range(len(hz) - 1, -1, -1):
        path[frame], best = hz[frame, best], came_from[frame, best]
    return path
