"""A feature cache's index: what is known of each recording, and checksums of its frames."""

import contextlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xtts.audio.mel import FLOOR, HOP, MELS, N_FFT, SAMPLE_RATE, TOP_HZ, FloatArray
from xtts.audio.waveform import Unusable
from xtts.data.features.sealed_file import DamagedFileError, pack_strings, read_sealed, unpack_strings, write_sealed

SETTINGS = ("ln-mel 2", SAMPLE_RATE, N_FFT, HOP, MELS, TOP_HZ, FLOOR)
"""What features depend on besides the recordings; raise the number when the front end or the checks change."""

FRAME_BYTES = MELS * 4

RECORD = np.dtype(
    [
        ("size", np.int64),
        ("mtime_ns", np.int64),
        ("sha256", np.uint8, (32,)),
        ("frame_start", np.int64),
        ("frames", np.int32),
        ("crc32", np.uint32),
        ("sample_rate", np.int32),
        ("channels", np.int16),
        ("seconds", np.float64),
        ("peak", np.float32),
        ("clipped_share", np.float32),
        ("offset", np.float32),
        ("silence_before", np.float32),
        ("silence_after", np.float32),
        ("level_db", np.float32),
        ("mel_sum", np.float64),
        ("mel_squares", np.float64),
        ("mel_absolute", np.float64),
    ]
)
"""A recording: its identity, where its features lie, and figures for means and for the data set's health."""

Records = npt.NDArray[Any]

_FILE = "index.sealed"
_SPOT_CHECKS = 64


@dataclass
class FeatureIndex:
    """A record for each recording that was read, and the file that holds all frames."""

    mel_file: Path
    mel_frames: int
    """Frames of the file that are whole; any behind them were interrupted."""
    paths: tuple[str, ...]
    records: Records
    problems: dict[str, Unusable]
    """Unusable recordings by path; their records have no frames."""


def load_index(folder: Path) -> FeatureIndex:
    """The folder's index; an empty one with a new file for frames where it is missing, damaged or of other settings."""
    try:
        value, arrays = read_sealed(folder / _FILE)
        mel_file = folder / value["mel_file"]
        if tuple(value["settings"]) == SETTINGS and mel_file.is_file():
            problems = {path: Unusable(*problem) for path, problem in value["problems"].items()}
            paths = unpack_strings(arrays["paths"], value["count"])
            return FeatureIndex(mel_file, value["mel_frames"], paths, arrays["records"], problems)
    except DamagedFileError:
        pass
    return FeatureIndex(new_mel_file(folder), 0, (), np.zeros(0, RECORD), {})


def save_index(folder: Path, index: FeatureIndex) -> None:
    """Write the index atomically and drop files of frames that it has left behind; OSError if the disk refuses."""
    value = {
        "settings": SETTINGS,
        "mel_file": index.mel_file.name,
        "mel_frames": index.mel_frames,
        "count": len(index.paths),
        "problems": {path: [problem.reason, problem.detail] for path, problem in index.problems.items()},
    }
    write_sealed(folder / _FILE, value, {"paths": pack_strings(index.paths), "records": index.records})
    for file in folder.glob("mel-*.f32"):
        if file != index.mel_file:
            with contextlib.suppress(OSError):
                file.unlink()


def new_mel_file(folder: Path) -> Path:
    """A name that no file of frames had: prepared speech may still read an old one through a link of its own."""
    numbers = (int(file.stem.removeprefix("mel-")) for file in folder.glob("mel-*.f32"))
    return folder / f"mel-{max(numbers, default=0) + 1}.f32"


def open_mel(file: Path, frames: int) -> FloatArray:
    """The frames of a file [frames, 80], memory-mapped; OSError or ValueError if it is gone or too short."""
    return np.memmap(file, np.float32, mode="r", shape=(frames, MELS))


def damaged_records(index: FeatureIndex, *, thorough: bool) -> npt.NDArray[np.bool_]:
    """Which records' frames are not what was written: by a spot check, and of all if that finds one."""
    damaged = np.zeros(len(index.records), np.bool_)
    extracted = np.flatnonzero(index.records["frames"])
    frames_there = index.mel_file.stat().st_size // FRAME_BYTES if len(extracted) else 0
    if not frames_there:
        damaged[extracted] = True
        return damaged
    mel = open_mel(index.mel_file, frames_there)
    for look_at in (extracted,) if thorough else (spot_check(extracted), extracted):
        for at in look_at:
            record = index.records[at]
            damaged[at] = not frames_match(mel, int(record["frame_start"]), int(record["frames"]), int(record["crc32"]))
        if not damaged.any():
            break
    return damaged


def frames_match(mel: FloatArray, start: int, frames: int, crc32: int) -> bool:
    """Whether frames of a cache [total_frames, 80] are those that were written."""
    return start + frames <= len(mel) and zlib.crc32(np.ascontiguousarray(mel[start : start + frames]).data) == crc32


def spot_check(items: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """At most 64 of the items, evenly spread: what a start looks at to see that a cache is whole."""
    return items[np.unique(np.linspace(0, len(items) - 1, _SPOT_CHECKS).astype(np.int64))] if len(items) else items
