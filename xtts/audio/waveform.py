"""Recordings as the front end wants them, or the reason why one cannot be used."""

import re
import stat
import struct
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np

from xtts.audio.mel import HOP, PATCH_FRAMES, SAMPLE_RATE, FloatArray

MAX_SECONDS = 30.0
"""Longer recordings are not read: one would fill several batches by itself."""
MAX_BYTES = 512 * 2**20
"""No recording of MAX_SECONDS is larger, whatever its rate and depth."""
LEAST_SAMPLES = PATCH_FRAMES * HOP
SILENCE_DB = -60.0
"""A recording without one 256-sample frame louder than this (RMS against full scale) is silent."""
EDGE_SILENCE_DB = -40.0
"""Leading and trailing frames this far below the loudest frame count as silence around the speech."""
FULL_SCALE = 0.999
TOP_SAMPLE = 16.0
"""Float recordings may exceed 1 a little; ones far above hold integers that were never scaled."""

_RATES = range(4_000, 384_001)
_MAX_CHANNELS = 32
OFFSET = 0.005
"""A constant offset above this share of full scale is taken out of the samples."""
_CANCELLED = 0.01
"""Channels whose mean has less than this share of their power cancel each other."""
_PROBE_BYTES = 200
_UNKNOWN_FRAMES = 2**62
"""libsndfile reports more than this where a flac file does not say its length."""


@dataclass(frozen=True)
class Recording:
    """Float32 mono samples [samples] at 22,050 Hz and what the file held."""

    samples: FloatArray
    sample_rate: int
    channels: int
    peak: float
    clipped_share: float
    """Share of the file's own samples at full scale."""
    offset: float = 0.0
    """The constant offset that the file's samples have; one above OFFSET was taken out."""


@dataclass(frozen=True)
class Unusable:
    """Why a recording cannot be used: `reason` is a code, `detail` one line for people."""

    reason: str
    detail: str


def read_bytes(path: Path) -> bytes | Unusable:
    """The file's content, or why it cannot be had."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return Unusable("not_audio", "not a file")
        if status.st_size > MAX_BYTES:
            return Unusable("too_long", f"{status.st_size / 2**20:,.0f} MB is more than {MAX_SECONDS:g} s of speech")
        return path.read_bytes()
    except FileNotFoundError:
        return Unusable("missing", "no such file")
    except OSError as error:
        return Unusable("not_readable", error.strerror or str(error))


def decode(content: bytes) -> Recording | Unusable:
    """A wav or flac file's content as mono samples at 22,050 Hz, or why it is unusable."""
    if not content:
        return Unusable("empty", "the file has no bytes")
    wav = _wav_data(content)
    if wav and wav.is_streamed(content):
        wav = replace(wav, size=len(content) - wav.start)
        content = _with_size(content, wav)
    if wav and wav.start + wav.size > len(content):
        # libsndfile would read what is there and say nothing.
        missing = wav.start + wav.size - len(content)
        return Unusable("truncated", f"{missing:,} of the bytes that its header announces are not there")
    samples = _pcm16_samples(content, wav) if wav and wav.is_pcm16 else _decode_samples(content)
    if isinstance(samples, Unusable):
        return samples
    return _as_recording(*samples)


def silence_around(samples: FloatArray) -> tuple[float, float, float]:
    """Seconds of silence before and after the speech, and the level of the loudest frame in dB of full scale.

    A frame's level is that of its sound alone, without the offset that it may have.
    """
    whole = len(samples) // HOP * HOP
    frames = samples[:whole].reshape(-1, HOP)
    frames = frames - frames.mean(axis=1, keepdims=True)
    power = np.einsum("th,th->t", frames, frames) / HOP
    loudest = float(power.max(initial=0.0))
    if loudest <= 0.0:
        return 0.0, 0.0, -np.inf
    loud = np.flatnonzero(power > loudest * 10 ** (EDGE_SILENCE_DB / 10))
    after = len(samples) - (int(loud[-1]) + 1) * HOP
    return int(loud[0]) * HOP / SAMPLE_RATE, after / SAMPLE_RATE, 10 * float(np.log10(loudest))


@dataclass(frozen=True)
class _WavData:
    """Where a wav file's samples lie, by its own header."""

    start: int
    size: int
    is_pcm16: bool
    channels: int
    rate: int

    def is_streamed(self, content: bytes) -> bool:
        """Whether a program wrote the header before it knew the length: a size that no file has, or 0 before samples.

        Every program has a placeholder of its own (0xFFFFFFFF, 0x7FFFF000, 0x80000000 less the header, ...).
        """
        if self.size > MAX_BYTES:
            return True
        return self.size == 0 and len(content) > self.start and not _is_chunk(content, self.start)


def _wav_data(content: bytes) -> _WavData | None:
    """The data chunk that a wav header announces; None for anything else."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None
    encoding, channels, rate, bits = 0, 0, 0, 0
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        at += 8
        if name == b"fmt " and size >= 16 and at + 16 <= len(content):
            encoding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", content, at)
        if name == b"data":
            return _WavData(at, size, encoding == 1 and bits == 16, channels, rate)
        at += size + size % 2
    return None


def _is_chunk(content: bytes, at: int) -> bool:
    """Whether a chunk with a name in letters that fits into the file begins here."""
    if at + 8 > len(content):
        return True
    name, size = struct.unpack_from("<4sI", content, at)
    return bool(name.decode("latin-1").replace(" ", "").isalnum()) and at + 8 + size <= len(content)


def _with_size(content: bytes, wav: _WavData) -> bytes:
    """The file with its true length in the header, as libsndfile wants it."""
    header = bytearray(content[: wav.start])
    struct.pack_into("<I", header, 4, len(content) - 8)
    struct.pack_into("<I", header, wav.start - 4, wav.size)
    return bytes(header) + content[wav.start :]


def _pcm16_samples(content: bytes, wav: _WavData) -> tuple[FloatArray, int] | Unusable:
    """Samples [samples, channels] and rate of the commonest kind of wav, three times as fast as libsndfile."""
    unlikely = _unlikely_format(wav.channels, wav.rate)
    if unlikely:
        return unlikely
    size = min(wav.size, len(content) - wav.start) // (2 * wav.channels)
    if size > MAX_SECONDS * wav.rate:
        return Unusable("too_long", f"{size / wav.rate:.1f} s is longer than {MAX_SECONDS:g} s")
    samples = np.frombuffer(content, "<i2", size * wav.channels, wav.start).astype(np.float32)
    samples *= np.float32(1 / 32768)
    return samples.reshape(size, wav.channels), wav.rate


def _unlikely_format(channels: int, rate: int) -> Unusable | None:
    if rate in _RATES and 1 <= channels <= _MAX_CHANNELS:
        return None
    return Unusable("not_audio", f"{channels} channels at {rate:,} Hz is no recording of speech")


def _decode_samples(content: bytes) -> tuple[FloatArray, int] | Unusable:
    """Samples [samples, channels] and their rate."""
    import soundfile

    errors = (soundfile.SoundFileError, RuntimeError, ValueError, OverflowError, MemoryError)
    try:
        file = soundfile.SoundFile(BytesIO(content))
    except errors as error:
        return Unusable("not_audio", _what_it_is(content) or f"cannot be decoded: {_one_line(error)}")
    with file:
        rate, announced = file.samplerate, file.frames
        unlikely = _unlikely_format(file.channels, rate)
        if unlikely:
            return unlikely
        most = int(MAX_SECONDS * rate)
        if most < announced < _UNKNOWN_FRAMES:
            return Unusable("too_long", f"{announced / rate:,.1f} s is longer than {MAX_SECONDS:g} s")
        try:
            samples: FloatArray = file.read(min(announced, most + 1), dtype="float32", always_2d=True)
        except errors as error:
            return Unusable("truncated", f"cut short or damaged: {_one_line(error)}")
    if len(samples) > most:
        return Unusable("too_long", f"longer than {MAX_SECONDS:g} s")
    if announced < _UNKNOWN_FRAMES and len(samples) < announced:
        return Unusable("truncated", f"{len(samples):,} of the {announced:,} samples that its header announces")
    return samples, rate


def _what_it_is(content: bytes) -> str:
    """What is often found where a recording should be; empty for anything else."""
    beginning = content[:_PROBE_BYTES].lstrip().lower()
    if beginning.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the recording: run git lfs pull"
    if beginning.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "a web page, not a recording: download it again"
    return ""


def _one_line(error: Exception) -> str:
    """What is wrong, without the Python object that was read."""
    text = str(getattr(error, "error_string", "") or error)
    text = re.sub(r"(Error opening )?<[^>]* object at 0x[0-9a-f]+>:? ?", "", text)
    return " ".join(text.split()) or type(error).__name__


def _as_recording(samples: FloatArray, rate: int) -> Recording | Unusable:
    if not len(samples):
        return Unusable("empty", "no samples")
    largest = np.maximum(samples.max(axis=0), -samples.min(axis=0))
    peak = float(largest.max())
    if not np.isfinite(largest).all():
        return Unusable("not_finite", "samples that are NaN or infinite")
    if peak > TOP_SAMPLE:
        return Unusable("out_of_range", f"samples up to {peak:,.0f}: full scale is 1")
    clipped_share = float(np.mean(np.abs(samples) >= FULL_SCALE)) if peak >= FULL_SCALE else 0.0
    channels = samples.shape[1]
    mono = samples[:, 0] if channels == 1 else samples.mean(axis=1)
    if channels > 1 and _cancel(samples, mono):
        return Unusable(
            "cancelled",
            f"its {channels} channels cancel each other when mixed (one is the other upside down): save one of them",
        )
    offset = float(mono.mean(dtype=np.float64))
    if abs(offset) > OFFSET:
        mono = mono - np.float32(offset)
    if rate != SAMPLE_RATE:
        import soxr

        mono = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
    if len(mono) < LEAST_SAMPLES:
        return Unusable("too_short", f"{len(mono) / SAMPLE_RATE:.3f} s is less than a patch")
    _, _, level = silence_around(mono)
    if level < SILENCE_DB:
        return Unusable("silent", f"nowhere louder than {SILENCE_DB:g} dB of full scale")
    return Recording(mono, rate, channels, peak, clipped_share, offset)


def _cancel(samples: FloatArray, mono: FloatArray) -> bool:
    loudest = float(samples.var(axis=0).max())
    return float(mono.var()) < _CANCELLED * loudest and loudest > 10 ** (SILENCE_DB / 10)
