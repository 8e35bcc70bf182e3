"""The value that every trial reads: a data set's features, tokens, speakers and splits, opened in milliseconds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xtts.data.exclusion import UNUSABLE_REASONS, Exclusion
from xtts.data.features.index import frames_match, open_mel, spot_check
from xtts.data.features.sealed_file import DamagedFileError, pack_strings, read_sealed, unpack_strings, write_sealed
from xtts.data.text import Vocabulary
from xtts.errors import SpeechError

_FILE = "prepared.sealed"


@dataclass(frozen=True)
class ClipFigures:
    """What extraction noted of each clip [clips], for the data set's health."""

    sample_rate: npt.NDArray[np.int32]
    channels: npt.NDArray[np.int16]
    seconds: npt.NDArray[np.float64]
    peak: npt.NDArray[np.float32]
    """Largest sample of the file; full scale is 1."""
    clipped_share: npt.NDArray[np.float32]
    """Share of the file's samples at full scale."""
    offset: npt.NDArray[np.float32]
    """The constant offset that the file's samples have, of full scale; a large one was taken out."""
    silence_before: npt.NDArray[np.float32]
    silence_after: npt.NDArray[np.float32]
    """Seconds more than 40 dB below the clip's loudest frame at its ends."""
    level_db: npt.NDArray[np.float32]
    """Loudest 256-sample frame, RMS in dB of full scale."""
    mel_absolute: npt.NDArray[np.float64]
    """Mean absolute un-normalised ln-mel."""
    crc32: npt.NDArray[np.uint32]
    """Checksum of the clip's frames in the cache."""


@dataclass(frozen=True)
class Dataset:
    """Every usable clip of a data set, in id order; arrays are indexed by clip unless said otherwise."""

    folder: Path
    fingerprint: str
    """Digest of recordings, texts, speakers, splits and mel settings; the same wherever the data lies."""
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    """Normalised texts."""
    speakers: tuple[str, ...]
    """Names of the speakers, indexed by speaker_index."""
    speaker_index: npt.NDArray[np.int32]
    split: npt.NDArray[np.uint8]
    """TRAIN, VALIDATION or TEST."""
    mel: npt.NDArray[np.float32]
    """Un-normalised ln-mel [total_frames, 80], memory-mapped; also holds frames that belong to no clip."""
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
    """Rows of the metadata that are no clip here, by id."""
    audio: tuple[str, ...]
    """Absolute paths of the recordings."""
    figures: ClipFigures
    stamp: str
    """Names, sizes and times of everything it was made from: the next start compares them to find changes."""
    columns: tuple[str, ...] = ()
    """What each column of the metadata was taken for, a line per file."""
    notes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What a person should know of how it was read: what it is, and where it was found."""
    sha256: tuple[str, ...] = ()
    """Digests of the recordings, in hexadecimal figures."""

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

    @property
    def since(self) -> float:
        """When it was prepared, in seconds since 1970."""
        return (self.folder / _FILE).stat().st_mtime

    @property
    def listed(self) -> int:
        """How many rows the metadata has."""
        return len(self.ids) + len(self.exclusions)

    @property
    def unusable(self) -> tuple[Exclusion, ...]:
        """The exclusions that speak against the data."""
        return tuple(exclusion for exclusion in self.exclusions if exclusion.reason in UNUSABLE_REASONS)

    def is_whole(self) -> bool:
        """Whether the frames of 64 clips, evenly spread, are those that were written."""
        return all(
            frames_match(self.mel, int(self.frame_start[at]), int(self.frames[at]), int(self.figures.crc32[at]))
            for at in spot_check(np.arange(len(self)))
        )

    @classmethod
    def open(cls, folder: Path) -> "Dataset":
        """What build_dataset made in `folder`; SpeechError if it is gone or damaged."""
        try:
            value, arrays = read_sealed(folder / _FILE)
            mel = open_mel(folder / value["mel_file"], value["mel_frames"])
        except (DamagedFileError, OSError, ValueError) as error:
            raise SpeechError(f"{folder}: prepared speech is gone or damaged ({error}): start again") from error
        count = value["clips"]
        fields: dict[str, Any] = {name: value[name] for name in _VALUES}
        fields |= {name: arrays[name] for name in _ARRAYS}
        fields |= {name: unpack_strings(arrays[name], count) for name in _STRINGS}
        return cls(
            **fields,
            folder=folder,
            mel=mel,
            speakers=tuple(value["speakers"]),
            vocabulary=Vocabulary(tuple(value["vocabulary"]), value.get("turkic", False)),
            columns=tuple(value.get("columns", ())),
            sha256=tuple(value.get("sha256", ())),
            notes=tuple((what, tuple(files)) for what, files in value.get("notes", ())),
            exclusions=tuple(Exclusion(*exclusion) for exclusion in value["exclusions"]),
            figures=ClipFigures(
                # Older data sets did not note the offset.
                **{
                    name: arrays.get(f"figures/{name}", np.zeros(count, np.float32))
                    for name in ClipFigures.__dataclass_fields__
                }
            ),
        )

    def save(self, mel_file: str) -> None:
        """Write all but the frames, which lie in `mel_file` in the folder, atomically; OSError if the disk refuses."""
        value: dict[str, Any] = {name: getattr(self, name) for name in _VALUES}
        value |= {"mel_file": mel_file, "mel_frames": len(self.mel)}
        value |= {"clips": len(self), "speakers": self.speakers}
        value |= {"vocabulary": self.vocabulary.symbols, "turkic": self.vocabulary.turkic}
        value |= {"exclusions": self.exclusions, "columns": self.columns, "notes": self.notes}
        value |= {"sha256": self.sha256}
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {name: pack_strings(getattr(self, name)) for name in _STRINGS}
        arrays |= {f"figures/{name}": array for name, array in vars(self.figures).items()}
        write_sealed(self.folder / _FILE, value, arrays)


_VALUES = ("fingerprint", "mel_mean", "mel_sd", "stamp")
_STRINGS = ("ids", "texts", "audio")
_ARRAYS = ("speaker_index", "split", "frame_start", "frames", "tokens", "token_start", "token_count")
