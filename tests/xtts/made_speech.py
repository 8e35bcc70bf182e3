"""Recordings and data folders that tests write: voiced sound, so that every check sees speech-like input."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

WORDS = ("river", "stone", "window", "morning", "paper", "garden", "silver", "letter", "candle", "harbour")


def voiced(seconds: float, rate: int = 22_050, seed: int = 0) -> npt.NDArray[np.float32]:
    """Harmonics of a gliding pitch under a syllable-like envelope, with a little noise [samples]."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 110 + 20 * generator.random() + 15 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    sound = sum(np.sin(harmonic * phase + generator.random()) / harmonic for harmonic in range(1, 25))
    envelope = 0.15 + np.clip(np.sin(2 * np.pi * 3 * time + generator.random()), 0, 1)
    return (0.15 * envelope * sound + 0.002 * generator.standard_normal(len(time))).astype(np.float32)


def texts(count: int) -> list[str]:
    """Different texts, short enough for the clips."""
    return [f"{WORDS[n % 10]} {chr(97 + n % 26)}{n}" for n in range(count)]


def write_clip(path: Path, seconds: float = 0.4, seed: int = 0) -> None:
    """A 16-bit wav (or flac, by its name) of voiced sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, voiced(seconds, seed=seed), 22_050, subtype="PCM_16")


def write_ljspeech(folder: Path, count: int = 20, name: str = "clip", metadata: str = "metadata.csv") -> Path:
    """A folder in LJSpeech's layout with `count` clips of different lengths and texts."""
    for n in range(count):
        write_clip(folder / "wavs" / f"{name}{n:03d}.wav", 0.3 + 0.02 * (n % 7), seed=n)
    write_metadata(folder, [f"{name}{n:03d}|{text}" for n, text in enumerate(texts(count))], metadata)
    return folder


def write_metadata(folder: Path, lines: list[str], metadata: str = "metadata.csv") -> None:
    """The metadata file with these lines."""
    (folder / metadata).write_text("\n".join(lines) + "\n", "utf-8")
