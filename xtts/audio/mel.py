"""Samples to natural-log mel frames and back: the one place that knows the front end's numbers."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import scipy.sparse

SAMPLE_RATE = 22_050
N_FFT = 1024
HOP = 256
MELS = 80
TOP_HZ = 8000.0
FLOOR = 1e-5
PATCH_FRAMES = 4

FloatArray = npt.NDArray[np.float32]


def log_mel(samples: FloatArray) -> FloatArray:
    """Natural-log mel magnitudes [frames, 80] of mono samples at 22,050 Hz; frames = 1 + samples // 256.

    As librosa's melspectrogram (power 1, centred frames, zeros beyond the edges). librosa transforms in float64, so
    this does too: a float32 transform is off by 3e-4 in quiet bands.
    """
    spectrum = _stft(samples, _window())
    magnitude = np.abs(spectrum.astype(np.complex64))
    mel: FloatArray = np.ascontiguousarray((_sparse_filters() @ np.ascontiguousarray(magnitude.T)).T)
    np.maximum(mel, np.float32(FLOOR), out=mel)
    return np.log(mel, out=mel)


def mel_to_audio(mel: FloatArray, iterations: int = 32) -> FloatArray:
    """Samples at 22,050 Hz for natural-log mel frames [frames, 80], by non-negative inversion and Griffin-Lim.

    The fast Griffin-Lim of Perraudin, Balazs and Søndergaard (2013), from random phases of seed 0: the samples of
    librosa.griffinlim, which compiles for ten seconds first in a new installation.
    """
    magnitude = np.ascontiguousarray(_magnitudes(mel).T)
    phases = np.random.RandomState(0).random_sample(magnitude.T.shape).T
    spectrum = (magnitude * np.exp(2j * np.pi * phases)).astype(np.complex64)
    window = _window().astype(np.float32)
    before: npt.NDArray[np.complex64] | None = None
    for _ in range(iterations):
        rebuilt = _stft(_istft(spectrum, window), window)
        spectrum = rebuilt if before is None else rebuilt - np.float32(_MOMENTUM / (1 + _MOMENTUM)) * before
        spectrum = spectrum / (np.abs(spectrum) + np.finfo(np.float32).tiny) * magnitude
        before = rebuilt
    return _istft(spectrum, window)


_MOMENTUM = 0.99


def _stft(samples: FloatArray, window: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Complex spectrum [frames, 513] of centred frames, zeros beyond the edges; in the precision of the window."""
    import scipy.fft  # here, because a trial's worker needs the numbers above and no transform

    padded = np.pad(samples, N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    spectrum: npt.NDArray[Any] = scipy.fft.rfft(frames * window, axis=-1)
    return spectrum


def _istft(spectrum: npt.NDArray[np.complex64], window: FloatArray) -> FloatArray:
    """The samples whose windowed frames are nearest to those of a spectrum [frames, 513] (Griffin and Lim, 1984)."""
    import scipy.fft

    frames = scipy.fft.irfft(spectrum, N_FFT, axis=-1) * window
    weights = _overlapped(np.broadcast_to(window**2, frames.shape))
    np.maximum(weights, np.float32(1e-30), out=weights)
    samples: FloatArray = _overlapped(frames) / weights
    return samples[N_FFT // 2 : N_FFT // 2 + HOP * (len(frames) - 1)]


def _overlapped(frames: FloatArray) -> FloatArray:
    """Frames [frames, 1024] added up, each a hop after the one before it."""
    hops = N_FFT // HOP
    total = np.zeros((len(frames) + hops - 1, HOP), np.float32)
    for hop in range(hops):
        total[hop : hop + len(frames)] += frames[:, hop * HOP : (hop + 1) * HOP]
    return total.reshape(-1)


def _magnitudes(mel: FloatArray, iterations: int = 40) -> FloatArray:
    """STFT magnitudes [513, frames] whose mel is closest: multiplicative updates (Lee and Seung, 2001)."""
    filters = mel_filters()
    target = np.exp(mel.T.astype(np.float32))
    wanted = filters.T @ target
    gram = filters.T @ filters
    magnitude: FloatArray = np.maximum(np.linalg.pinv(filters) @ target, np.float32(1e-7))
    for _ in range(iterations):
        magnitude *= wanted / np.maximum(gram @ magnitude, np.float32(1e-12))
    return magnitude


@lru_cache(maxsize=1)
def _window() -> npt.NDArray[np.float64]:
    """Periodic Hann window [1024]."""
    window: npt.NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi / N_FFT * np.arange(N_FFT))
    return window


@lru_cache(maxsize=1)
def _sparse_filters() -> scipy.sparse.csr_array:
    import scipy.sparse

    return scipy.sparse.csr_array(mel_filters())


@lru_cache(maxsize=1)
def mel_filters() -> FloatArray:
    """Slaney's triangular filters [80, 513], each of area one; equal to librosa.filters.mel."""
    edges = _mel_to_hz(np.linspace(0.0, _hz_to_mel(TOP_HZ), MELS + 2))
    bins = np.linspace(0.0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    widths = np.diff(edges)[:, None]
    ramps = edges[:, None] - bins
    rising = -ramps[:-2] / widths[:-1]
    falling = ramps[2:] / widths[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None], dtype=np.float32)


# Slaney's Auditory Toolbox scale: linear below 1 kHz (15 mels), then 27 mels for each factor of 6.4.
_BREAK_HZ, _BREAK_MEL, _HZ_PER_MEL = 1000.0, 15.0, 200.0 / 3
_LOG_STEP = float(np.log(6.4)) / 27.0


def _hz_to_mel(hz: float) -> float:
    return hz / _HZ_PER_MEL if hz < _BREAK_HZ else _BREAK_MEL + float(np.log(hz / _BREAK_HZ)) / _LOG_STEP


def _mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL)))
