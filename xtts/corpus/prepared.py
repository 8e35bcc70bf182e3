"""A data set ready to learn from: features, tokens, speakers and splits, opened in milliseconds by every trial."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xtts import mel as front_end
from xtts.cache_folder import cache_folder
from xtts.corpus.sealed_file import DamagedFileError, pack_strings, read_sealed, unpack_strings, write_sealed
from xtts.corpus.splits import TEST, TRAIN, VALIDATION, split_texts
from xtts.errors import SpeechError
from xtts.text import Vocabulary, has_letters, normalise

__all__ = ["TEST", "TRAIN", "VALIDATION", "Exclusion", "PreparedSpeech", "Progress", "prepare_speech"]

Progress = Callable[[int, int, str], None]
"""Called with (clips done, clips in all, what is being done)."""

_FILE = "prepared.sealed"
_MEL_FILE = "mel.f32"


@dataclass(frozen=True)
class Exclusion:
    """A clip that is left out, and why: `reason` is a code, `detail` is for people."""

    id: str
    reason: str
    detail: str


@dataclass(frozen=True)
class PreparedSpeech:
    """Every usable clip of a data set, in id order; arrays are indexed by clip unless said otherwise."""

    folder: Path
    fingerprint: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    speakers: tuple[str, ...]
    """Names of the speakers, indexed by speaker_index."""
    speaker_index: npt.NDArray[np.int32]
    split: npt.NDArray[np.uint8]
    mel: npt.NDArray[np.float32]
    """Un-normalised ln-mel [total_frames, 80], memory-mapped read-only; clips in no particular order."""
    frame_start: npt.NDArray[np.int64]
    frames: npt.NDArray[np.int32]
    tokens: npt.NDArray[np.int32]
    """Tokens of all texts, one after the other [total_tokens]."""
    token_start: npt.NDArray[np.int64]
    token_count: npt.NDArray[np.int32]
    vocabulary: Vocabulary
    mel_mean: float
    mel_sd: float
    """Mean and standard deviation over all mel values of the training split."""
    exclusions: tuple[Exclusion, ...]
    audio: tuple[str, ...]
    """Absolute paths of the recordings."""

    def __len__(self) -> int:
        return len(self.ids)

    def clip_mel(self, clip: int) -> npt.NDArray[np.float32]:
        """Un-normalised ln-mel [frames, 80] of one clip, a view of the cache."""
        start = int(self.frame_start[clip])
        return self.mel[start : start + int(self.frames[clip])]

    def clip_tokens(self, clip: int) -> npt.NDArray[np.int32]:
        """Tokens of one clip's text, with a boundary at both ends."""
        start = int(self.token_start[clip])
        return self.tokens[start : start + int(self.token_count[clip])]

    def indices(self, split: int) -> npt.NDArray[np.int64]:
        """Clips of a split (TRAIN, VALIDATION or TEST), ascending."""
        return np.flatnonzero(self.split == split)

    def audio_path(self, clip: int) -> Path:
        """The recording that a clip was made from."""
        return Path(self.audio[clip])

    @classmethod
    def open(cls, folder: Path) -> "PreparedSpeech":
        """What prepare_speech made in `folder`; SpeechError if it is gone or damaged."""
        try:
            value, arrays = read_sealed(folder / _FILE)
            mel = np.memmap(folder / _MEL_FILE, dtype=np.float32, mode="r", shape=(value["mel_frames"], front_end.MELS))
        except (DamagedFileError, OSError, ValueError) as error:
            raise SpeechError(f"prepared speech in {folder} is gone or damaged ({error}): run the command again") from error
        return _from_parts(folder, value, arrays, mel)


def _from_parts(
    folder: Path, value: Any, arrays: dict[str, npt.NDArray[Any]], mel: npt.NDArray[np.float32]
) -> PreparedSpeech:
    count = value["clips"]
    return PreparedSpeech(
        folder=folder,
        fingerprint=value["fingerprint"],
        ids=unpack_strings(arrays["ids"], count),
        texts=unpack_strings(arrays["texts"], count),
        speakers=tuple(value["speakers"]),
        speaker_index=arrays["speaker_index"],
        split=arrays["split"],
        mel=mel,
        frame_start=arrays["frame_start"],
        frames=arrays["frames"],
        tokens=arrays["tokens"],
        token_start=arrays["token_start"],
        token_count=arrays["token_count"],
        vocabulary=Vocabulary(tuple(value["vocabulary"])),
        mel_mean=value["mel_mean"],
        mel_sd=value["mel_sd"],
        exclusions=tuple(Exclusion(*exclusion) for exclusion in value["exclusions"]),
        audio=unpack_strings(arrays["audio"], count),
    )


def _silent_progress(done: int, total: int, what: str) -> None:
    del done, total, what


def prepare_speech(
    data: Path,
    val_data: Path | None = None,
    *,
    split_seed: int = 0,
    accept_unusable: bool = False,
    deep: bool = False,
    progress: Progress = _silent_progress,
) -> PreparedSpeech:
    """Features, tokens and splits of a folder of speech, from the cache where nothing changed; SpeechError if unusable."""
    import soundfile

    lines = (data / "metadata.csv").read_text("utf-8").splitlines()
    rows = sorted((line.split("|")[0], normalise(line.split("|")[-1])) for line in lines)
    rows = [row for row in rows if has_letters(row[1])]
    ids, texts = zip(*rows, strict=True)
    audio = [str((data / "wavs" / f"{id}.wav").absolute()) for id in ids]
    mels = []
    for done, path in enumerate(audio):
        mels.append(front_end.log_mel(soundfile.read(path, dtype="float32")[0]))
        progress(done + 1, len(audio), "extracting features")
    split_of = split_texts(texts, split_seed)
    split = np.array([split_of[text] for text in texts], np.uint8)
    vocabulary = Vocabulary.of(texts)
    tokens = [np.array(vocabulary.encode(text), np.int32) for text in texts]
    fingerprint = hashlib.sha256(json.dumps([ids, texts, split.tolist()]).encode()).hexdigest()
    folder = cache_folder() / "features" / fingerprint[:16]
    folder.mkdir(parents=True, exist_ok=True)
    frames = np.array([len(mel) for mel in mels], np.int32)
    counts = np.array([len(of_clip) for of_clip in tokens], np.int32)
    whole = np.concatenate(mels)
    whole.tofile(folder / _MEL_FILE)
    heard = np.concatenate([mel for mel, side in zip(mels, split, strict=True) if side == TRAIN])
    value = {
        "clips": len(ids),
        "fingerprint": fingerprint,
        "mel_frames": len(whole),
        "speakers": ["speaker"],
        "vocabulary": vocabulary.symbols,
        "mel_mean": float(heard.mean(dtype=np.float64)),
        "mel_sd": float(heard.std(dtype=np.float64)),
        "exclusions": [],
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        "ids": pack_strings(ids),
        "texts": pack_strings(texts),
        "audio": pack_strings(audio),
        "speaker_index": np.zeros(len(ids), np.int32),
        "split": split,
        "frame_start": np.concatenate([[0], np.cumsum(frames, dtype=np.int64)[:-1]]),
        "frames": frames,
        "tokens": np.concatenate(tokens),
        "token_start": np.concatenate([[0], np.cumsum(counts, dtype=np.int64)[:-1]]),
        "token_count": counts,
    }
    write_sealed(folder / _FILE, value, arrays)
    return PreparedSpeech.open(folder)
