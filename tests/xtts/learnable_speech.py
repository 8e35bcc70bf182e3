"""Speech whose sound follows from its text alone: each letter has a sound and a length of its own, known to the sample.

Real recordings cannot show whether an alignment is right or a model uses its text; here the truth is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from xtts.audio.mel import HOP, SAMPLE_RATE

LETTERS = "abdegiklmo"
VOICES = {"low": 110.0, "high": 190.0}
"""Speakers and their pitch in Hz."""
SPACE_SECONDS = 0.06


@dataclass(frozen=True)
class Utterance:
    """One clip: its text and voice, and where each character of " text " ends."""

    name: str
    text: str
    voice: str
    samples: npt.NDArray[np.float32]
    ends: npt.NDArray[np.int64]
    """Sample at which each character ends, the boundaries around the text included [characters + 2]."""

    def token_at_steps(self, steps: int) -> npt.NDArray[np.int64]:
        """The character that sounds in the middle of each step of two frames [steps]."""
        middles = (2 * np.arange(steps) + 0.5) * HOP
        return np.minimum(np.searchsorted(self.ends, middles, "right"), len(self.ends) - 1)


def letter_seconds(letter: str) -> float:
    """How long a letter typically sounds: 60 to 110 ms."""
    return 0.06 + 0.005 * LETTERS.index(letter)


def utterances(count: int, seed: int = 0) -> list[Utterance]:
    """Different texts of two or three made-up words, the voices taking turns."""
    draw = np.random.default_rng(seed)
    spoken: list[Utterance] = []
    texts: set[str] = set()
    while len(spoken) < count:
        words = ["".join(draw.choice(list(LETTERS), draw.integers(2, 5))) for _ in range(draw.integers(2, 4))]
        text = " ".join(words)
        if text in texts:
            continue
        texts.add(text)
        voice = list(VOICES)[len(spoken) % len(VOICES)]
        samples, ends = _speak(text, voice, draw)
        spoken.append(Utterance(f"{voice}{len(spoken):03d}", text, voice, samples, ends))
    return spoken


def write_folder(folder: Path, spoken: list[Utterance], texts: list[str] | None = None) -> Path:
    """The clips in Coqui's layout, under their own texts or `texts`."""
    (folder / "wavs").mkdir(parents=True)
    rows = ["audio_file|text|speaker_name"]
    for clip, text in zip(spoken, texts or [clip.text for clip in spoken], strict=True):
        soundfile.write(folder / "wavs" / f"{clip.name}.wav", clip.samples, SAMPLE_RATE, subtype="PCM_16")
        rows.append(f"wavs/{clip.name}.wav|{text}|{clip.voice}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return folder


def _speak(text: str, voice: str, draw: np.random.Generator) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    sounds = []
    for character in f" {text} ":
        typical = SPACE_SECONDS if character == " " else letter_seconds(character)
        count = round(typical * draw.uniform(0.85, 1.15) * SAMPLE_RATE)
        sounds.append(np.zeros(count) if character == " " else _letter(character, VOICES[voice], count))
    samples = np.concatenate(sounds) + 0.002 * draw.standard_normal(sum(map(len, sounds)))
    return samples.astype(np.float32), np.cumsum([len(sound) for sound in sounds])


def _letter(letter: str, pitch: float, count: int) -> npt.NDArray[np.float64]:
    """Harmonics of the pitch through two resonances that only this letter has [count]."""
    number = LETTERS.index(letter)
    low, high = 250.0 * 1.22**number, 1500.0 * 1.16 ** (number * 7 % len(LETTERS))
    time = np.arange(count) / SAMPLE_RATE
    harmonics = np.arange(pitch, 8000.0, pitch)
    loudness = np.exp(-((np.log(harmonics / low) / 0.2) ** 2)) + 0.5 * np.exp(-((np.log(harmonics / high) / 0.15) ** 2))
    sound: npt.NDArray[np.float64] = 0.15 * (loudness[:, None] * np.sin(2 * np.pi * harmonics[:, None] * time)).sum(0)
    edge = np.minimum(1.0, np.minimum(time, time[::-1]) / 0.005)
    return sound * edge
