"""A few sentences to listen to: synthesised from text alone, and their recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xtts.alignment.aligned import AlignedDataset
from xtts.audio.mel import SAMPLE_RATE, mel_to_audio
from xtts.data.splits import VALIDATION
from xtts.inference.synthesis import LONGEST_TEXT, Speaker

_SENTENCES = 3


def sample_clips(aligned: AlignedDataset) -> list[int]:
    """Validation clips of typical length, of different speakers where there are several."""
    speech = aligned.speech
    clips = speech.indices(VALIDATION)
    typical = float(np.median(speech.frames[clips]))
    nearest = clips[np.argsort(np.abs(speech.frames[clips] - typical), kind="stable")]
    chosen: list[int] = []
    for allowed in range(1, _SENTENCES + 1):
        for clip in nearest.tolist():
            of_speaker = sum(speech.speaker_index[clip] == speech.speaker_index[other] for other in chosen)
            if clip not in chosen and of_speaker < allowed and len(chosen) < _SENTENCES:
                chosen.append(clip)
    return chosen


def spoken_part(text: str) -> str:
    """A normalised text, or as many of its sentences (else words) as a model can say at once."""
    most = LONGEST_TEXT - 2  # a boundary at both ends
    if len(text) <= most:
        return text
    part = text[: most + 1]
    ends = [part.rfind(mark) + 1 for mark in (". ", "! ", "? ", "؟ ")]
    at = max(ends) or part.rfind(" ")
    return part[: at if at > 0 else most].rstrip()


def write_samples(speaker: Speaker, aligned: AlignedDataset, folder: Path, who: str = "said") -> None:
    """Write N.WHO.wav for each sentence, synthesised from text alone."""
    folder.mkdir(parents=True, exist_ok=True)
    speech = aligned.speech
    for number, clip in enumerate(sample_clips(aligned), start=1):
        voice = speech.speakers[int(speech.speaker_index[clip])]
        write_wav(folder / f"{number}.{who}.wav", speaker.say(spoken_part(speech.texts[clip]), voice))


def write_real_samples(aligned: AlignedDataset, folder: Path) -> None:
    """For each sentence N.real.wav, the recording through the same mel and Griffin-Lim, and N.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    speech = aligned.speech
    for number, clip in enumerate(sample_clips(aligned), start=1):
        real = mel_to_audio(np.asarray(speech.clip_mel(clip)))
        write_wav(folder / f"{number}.real.wav", real / max(1.0, float(np.abs(real).max(initial=0.0))))
        text = spoken_part(speech.texts[clip])
        cut = " [...]" if text != speech.texts[clip] else ""
        (folder / f"{number}.txt").write_text(f"{speech.ids[clip]}|{text}{cut}\n", encoding="utf-8")


def write_wav(path: Path, samples: NDArray[np.float32]) -> None:
    """16-bit mono at 22,050 Hz, written whole or not at all; OSError where the disk refuses."""
    import soundfile

    temporary = path.with_name(f".{path.name}.tmp")
    try:
        soundfile.write(temporary, samples, SAMPLE_RATE, subtype="PCM_16", format="WAV")
        temporary.replace(path)
    except soundfile.LibsndfileError as error:
        raise OSError(f"{path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
