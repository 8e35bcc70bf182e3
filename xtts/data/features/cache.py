"""Log-mel features of every recording in one file: extracted once, on all cores, and again only where needed."""

import hashlib
import os
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from xtts.audio.mel import SAMPLE_RATE, FloatArray, log_mel
from xtts.audio.waveform import Recording, Unusable, decode, read_bytes, silence_around
from xtts.data.features.index import (
    FRAME_BYTES,
    RECORD,
    FeatureIndex,
    Records,
    damaged_records,
    load_index,
    new_mel_file,
    open_mel,
    save_index,
)
from xtts.data.recordings import Recordings

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is being done); total 0 means that the end is not known."""

_FILES_PER_TASK = 8
_SAVE_EVERY_SECONDS = 20.0
_RACY_NS = 100_000_000
"""A file that was written this shortly before it was read may change again without its time changing."""


@dataclass(frozen=True)
class Features:
    """Features of the recordings asked for, in their order; unusable ones have no frames and a problem."""

    mel_file: Path
    mel_frames: int
    records: Records
    problems: dict[int, Unusable]

    @property
    def is_settled(self) -> bool:
        """Whether sizes and times alone show a change next time."""
        return bool(np.all(self.records["mtime_ns"] != 0))


def update_features(folder: Path, wanted: Recordings, *, deep: bool, progress: Progress) -> Features:
    """Features of `wanted`, reading only what is new, changed or damaged (`deep`: all); the caller holds the lock.

    OSError if the disk refuses; what was there before stays whole.
    """
    old = load_index(folder)
    damaged = damaged_records(old, thorough=deep)
    source = _place_in(old, wanted.paths)
    known = np.zeros(len(source), np.bool_) if deep else _unchanged(old, damaged, source, wanted)
    index = FeatureIndex(old.mel_file, old.mel_frames, wanted.paths, np.zeros(len(source), RECORD), {})
    index.records[known] = old.records[source[known]]
    still_wanted = set(wanted.paths)
    index.problems = {path: problem for path, problem in old.problems.items() if path in still_wanted}
    if not known.all() or len(old.paths) != len(wanted.paths):
        whole = old.records[~damaged & (old.records["frames"] > 0)]
        by_content = {record["sha256"].tobytes(): record for record in whole}
        _read_missing(folder, index, known, by_content, wanted, progress)
        if 2 * int(index.records["frames"].sum()) < index.mel_frames:
            _compact(folder, index)
    problems = {at: index.problems[path] for at, path in enumerate(index.paths) if path in index.problems}
    return Features(index.mel_file, index.mel_frames, index.records, problems)


def _place_in(index: FeatureIndex, paths: tuple[str, ...]) -> npt.NDArray[np.int64]:
    place = {path: at for at, path in enumerate(index.paths)}
    return np.array([place.get(path, -1) for path in paths], np.int64)


def _unchanged(
    old: FeatureIndex, damaged: npt.NDArray[np.bool_], source: npt.NDArray[np.int64], wanted: Recordings
) -> npt.NDArray[np.bool_]:
    if not len(old.paths):
        return np.zeros(len(source), np.bool_)
    # Whether a file may be opened can change without its time changing.
    retry = np.array([path in old.problems and old.problems[path].reason == "not_readable" for path in old.paths])
    same_size = old.records["size"][source] == wanted.size
    same_time = old.records["mtime_ns"][source] == wanted.mtime_ns
    unchanged: npt.NDArray[np.bool_] = (source >= 0) & same_size & same_time & ~damaged[source] & ~retry[source]
    return unchanged


class _Read(NamedTuple):
    """What reading one recording came to; `mel` is None where it is unusable or its content is cached already."""

    at: int
    record: Any
    mel: FloatArray | None
    problem: Unusable | None


def _read_missing(
    folder: Path,
    index: FeatureIndex,
    known: npt.NDArray[np.bool_],
    by_content: dict[bytes, Any],
    wanted: Recordings,
    progress: Progress,
) -> None:
    """Fill in the records that are not known and append their frames; saves now and then, and when interrupted."""
    missing = np.flatnonzero(~known)
    saved = time.monotonic()
    # Not opened for appending: an interrupted run may have left part of a clip behind the last whole one.
    index.mel_file.touch()
    with index.mel_file.open("r+b", buffering=2**20) as file:
        file.truncate(index.mel_frames * FRAME_BYTES)
        file.seek(0, os.SEEK_END)
        try:
            for done, read in enumerate(_read_on_all_cores(missing, by_content, wanted), 1):
                index.problems.pop(index.paths[read.at], None)
                if read.problem:
                    index.problems[index.paths[read.at]] = read.problem
                if read.mel is not None:
                    read.record["frame_start"] = index.mel_frames
                    file.write(read.mel.data)
                    index.mel_frames += len(read.mel)
                index.records[read.at] = read.record
                known[read.at] = True
                progress(done, len(missing), "reading recordings")
                if time.monotonic() - saved > _SAVE_EVERY_SECONDS:
                    _save_known(folder, index, known, file)
                    saved = time.monotonic()
        finally:
            _save_known(folder, index, known, file)


def _save_known(folder: Path, index: FeatureIndex, known: npt.NDArray[np.bool_], file: BinaryIO) -> None:
    """Save the part of the index that has been read, once its frames are on the disk."""
    file.flush()
    os.fsync(file.fileno())
    paths = tuple(path for path, is_known in zip(index.paths, known, strict=True) if is_known)
    problems = {path: index.problems[path] for path in paths if path in index.problems}
    save_index(folder, FeatureIndex(index.mel_file, index.mel_frames, paths, index.records[known], problems))


def _read_on_all_cores(
    missing: npt.NDArray[np.int64], by_content: dict[bytes, Any], wanted: Recordings
) -> Iterator[_Read]:
    """Recordings in the order of `missing`, a bounded number of them ahead.

    Threads, because decoding and transforms leave the interpreter lock alone: no copies between processes, and no
    second start of the libraries.
    """
    cores = usable_cores()
    tasks = iter([missing[at : at + _FILES_PER_TASK] for at in range(0, len(missing), _FILES_PER_TASK)])
    log_mel(np.zeros(0, np.float32))  # imports what it needs before many threads ask for it at once
    pool = ThreadPoolExecutor(cores, thread_name_prefix="features")

    def read(places: npt.NDArray[np.int64]) -> list[_Read]:
        return [_read(int(at), wanted, by_content) for at in places]

    try:
        ahead: deque[Future[list[_Read]]] = deque(pool.submit(read, task) for task in islice(tasks, 3 * cores))
        while ahead:
            results = ahead.popleft().result()
            ahead.extend(pool.submit(read, task) for task in islice(tasks, 1))
            yield from results
    finally:
        pool.shutdown(cancel_futures=True)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read(at: int, wanted: Recordings, by_content: dict[bytes, Any]) -> _Read:
    content = read_bytes(Path(wanted.paths[at]))
    sha256 = b"" if isinstance(content, Unusable) else hashlib.sha256(content).digest()
    record = by_content[sha256].copy() if sha256 in by_content else np.zeros((), RECORD)
    mtime_ns = int(wanted.mtime_ns[at])
    record["size"] = wanted.size[at]
    record["mtime_ns"] = 0 if 0 <= time.time_ns() - mtime_ns < _RACY_NS else mtime_ns
    if sha256 in by_content:
        return _Read(at, record, None, None)
    recording = content if isinstance(content, Unusable) else decode(content)
    if isinstance(recording, Unusable):
        return _Read(at, record, None, recording)
    record["sha256"] = np.frombuffer(sha256, np.uint8)
    mel = log_mel(recording.samples)
    _describe(record, recording, mel)
    return _Read(at, record, mel, None)


def _describe(record: Any, recording: Recording, mel: FloatArray) -> None:
    before, after, level = silence_around(recording.samples)
    exact = mel.astype(np.float64)
    record["frames"], record["crc32"] = len(mel), zlib.crc32(mel.data)
    record["sample_rate"], record["channels"] = recording.sample_rate, recording.channels
    record["seconds"] = len(recording.samples) / SAMPLE_RATE
    record["peak"], record["clipped_share"] = recording.peak, recording.clipped_share
    record["offset"] = recording.offset
    record["silence_before"], record["silence_after"], record["level_db"] = before, after, level
    record["mel_sum"], record["mel_squares"] = exact.sum(), np.square(exact).sum()
    record["mel_absolute"] = np.abs(exact).sum()


def _compact(folder: Path, index: FeatureIndex) -> None:
    """Rewrite the frames in clip order without those that nothing points to any more."""
    mel = open_mel(index.mel_file, index.mel_frames)
    file_name = new_mel_file(folder)
    starts = index.records["frame_start"].copy()
    at = 0
    with file_name.open("wb", buffering=2**20) as file:
        for record, start in zip(index.records, starts, strict=True):
            if record["frames"]:
                file.write(np.ascontiguousarray(mel[start : start + record["frames"]]).data)
                record["frame_start"] = at
                at += int(record["frames"])
        file.flush()
        os.fsync(file.fileno())
    index.mel_file, index.mel_frames = file_name, at
    save_index(folder, index)
