"""Makes a folder of recordings into prepared speech, from the cache wherever nothing changed."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import filelock
import numpy as np

from xtts.audio.mel import MELS
from xtts.cache_folder import cache_folder
from xtts.data.dataset import ClipFigures, Dataset
from xtts.data.exclusion import Exclusion
from xtts.data.features.cache import Features, Progress, update_features
from xtts.data.features.index import SETTINGS, open_mel
from xtts.data.features.sealed_file import write_atomically
from xtts.data.file_names import FileNames
from xtts.data.layouts import Layout, read_layout
from xtts.data.metadata_file import EVAL_PART
from xtts.data.recordings import Recordings, find_recordings
from xtts.data.splits import (
    LEAST_EVAL_TEXTS,
    LEAST_TEXTS,
    TRAIN,
    split_eval_texts,
    split_texts,
)
from xtts.data.text import Vocabulary, is_turkic, normalise
from xtts.data.usable_clips import Clip, apart_from_eval, reading_notes, refuse_if_unusable, usable_clips
from xtts.errors import SpeechError

_MAKING = "prepared 3"
"""Part of what says whether prepared speech is still good: raise the number when its making changes."""
SPLIT_SEED = 0
_STAMPS = "stamps.json"
_STAMPS_KEPT = 16


def no_progress(done: int, total: int, what: str) -> None:
    """Show nothing."""
    del done, total, what


@dataclass(frozen=True)
class Listing:
    """What a folder of speech holds now, by its metadata and its file names: no recording has been read."""

    layout: Layout
    recordings: Recordings

    @property
    def stamp(self) -> str:
        """What Dataset.stamp is once the folder is prepared: it differs where anything has changed."""
        return self.recordings.stamp(_MAKING, SETTINGS, self.layout.digest, SPLIT_SEED)

    def texts_and_recordings(self) -> dict[str, tuple[str, str]]:
        """The normalised text and the recording of every clip, by id."""
        rows = self.recordings.rows
        turkic = is_turkic(row.text for row in rows)
        return {
            row.id: (normalise(row.text, turkic=turkic), path)
            for row, path in zip(rows, self.recordings.paths, strict=True)
        }


def listing_of(
    data: Path, val_data: Path | None = None, *, columns: Sequence[str] | None = None, allow_outside: bool = False
) -> Listing:
    """List a folder; the arguments are build_dataset's."""
    names = FileNames()
    layout = read_layout(data, val_data, columns=columns, allow_outside=allow_outside, names=names)
    folders = (data,) if val_data is None else (data, val_data)
    return Listing(layout, find_recordings(layout, folders, allow_outside=allow_outside, names=names))


def build_dataset(
    data: Path,
    val_data: Path | None = None,
    *,
    accept_unusable: bool = False,
    deep: bool = False,
    columns: Sequence[str] | None = None,
    allow_outside: bool = False,
    progress: Progress = no_progress,
) -> Dataset:
    """Features, tokens and splits of a folder of speech, shared by all trials and kept between runs.

    `deep` reads every recording again instead of trusting sizes and times. `columns` are the roles of the metadata's
    columns where they do not show. `allow_outside` also reads recordings outside the folders. SpeechError if the folder
    is malformed, too small, or more than 5 % of its clips are unusable and `accept_unusable` is not given.
    """
    listing = listing_of(data, val_data, columns=columns, allow_outside=allow_outside)
    recordings, stamp = listing.recordings, listing.stamp
    folders = (data,) if val_data is None else (data, val_data)
    store = cache_folder() / "features" / _digest([os.path.realpath(folder) for folder in folders])[:16]
    prepared = None if deep else _still_good(store, stamp)
    if prepared is None:
        with _writing(store), _locked(store, progress):
            # Another process may have done it while this one waited.
            prepared = None if deep else _still_good(store, stamp)
            if prepared is None:
                features = update_features(store, recordings, deep=deep, progress=progress)
                clips, exclusions = usable_clips(recordings, features)
                refuse_if_unusable(data, len(clips), exclusions, accept_unusable)
                notes = reading_notes(recordings, clips)
                clips, in_eval = apart_from_eval(clips, features)
                split_of = _split(val_data or data, clips)
                speech = _assemble(store, clips, split_of, features, [*exclusions, *in_eval], stamp)
                prepared = _keep(store, replace(speech, columns=listing.layout.columns, notes=notes), features)
    refuse_if_unusable(data, len(prepared), prepared.exclusions, accept_unusable)
    return prepared


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


@contextlib.contextmanager
def _writing(store: Path) -> Iterator[None]:
    try:
        store.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise SpeechError(
            f"{store}: the feature cache cannot be written: {error.strerror or error}: "
            "free some space, or name another folder in XTTS_SWEEP_CACHE"
        ) from error


@contextlib.contextmanager
def _locked(store: Path, progress: Progress) -> Iterator[None]:
    lock = filelock.FileLock(store / "lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        progress(0, 0, "waiting for another process that prepares the same speech")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _still_good(store: Path, stamp: str) -> Dataset | None:
    fingerprint = _read_stamps(store).get(stamp)
    if fingerprint is None:
        return None
    try:
        prepared = Dataset.open(store / fingerprint[:16])
    except SpeechError:
        return None
    return prepared if prepared.stamp == stamp and prepared.is_whole() else None


def _read_stamps(store: Path) -> dict[str, str]:
    """Fingerprints of prepared speech by stamp, oldest first; none where the file is missing or damaged."""
    try:
        stamps = json.loads((store / _STAMPS).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    known = isinstance(stamps, dict) and all(isinstance(fingerprint, str) for fingerprint in stamps.values())
    return stamps if known else {}


def _split(data: Path, clips: list[Clip]) -> dict[str, int]:
    """Split of each text; SpeechError if there are too few."""
    evaluated = [clip.text for clip in clips if clip.row.part == EVAL_PART]
    others = [clip.text for clip in clips if clip.row.part != EVAL_PART]
    has_eval_part = any(clip.row.part != "all" for clip in clips)
    try:
        if not has_eval_part:
            return split_texts(others, SPLIT_SEED)
        split_of = split_eval_texts(evaluated, SPLIT_SEED)
    except ValueError as error:
        least = LEAST_EVAL_TEXTS if has_eval_part else LEAST_TEXTS
        raise SpeechError(f"{data}: {error}: at least {least} are needed, to be split by text") from error
    if not others:
        raise SpeechError(f"{data}: every training text is in the eval set too: nothing is left to train on")
    return split_of | dict.fromkeys(others, TRAIN)


def _assemble(
    store: Path,
    clips: list[Clip],
    split_of: dict[str, int],
    features: Features,
    exclusions: list[Exclusion],
    stamp: str,
) -> Dataset:
    records = features.records[[clip.at for clip in clips]]
    split = np.array([split_of[clip.text] for clip in clips], np.uint8)
    speakers = tuple(sorted({clip.row.speaker for clip in clips}))
    number = {name: index for index, name in enumerate(speakers)}
    vocabulary = Vocabulary.of((clip.text for clip in clips), turkic=is_turkic(clip.row.text for clip in clips))
    tokens = [vocabulary.encode(clip.text) for clip in clips]
    token_count = np.array([len(of_clip) for of_clip in tokens], np.int32)
    identity = [
        [sha256.tobytes().hex(), clip.text, clip.row.speaker, int(side)]
        for sha256, clip, side in zip(records["sha256"], clips, split, strict=True)
    ]
    fingerprint = _digest([SETTINGS, identity])
    trained = records[split == TRAIN]
    values = int(trained["frames"].sum()) * MELS
    mean = float(trained["mel_sum"].sum() / values)
    return Dataset(
        folder=store / fingerprint[:16],
        fingerprint=fingerprint,
        ids=tuple(clip.row.id for clip in clips),
        texts=tuple(clip.text for clip in clips),
        speakers=speakers,
        speaker_index=np.array([number[clip.row.speaker] for clip in clips], np.int32),
        split=split,
        mel=open_mel(features.mel_file, features.mel_frames),
        frame_start=records["frame_start"].copy(),
        frames=records["frames"].copy(),
        tokens=np.array([token for of_clip in tokens for token in of_clip], np.int32),
        token_start=np.cumsum(token_count, dtype=np.int64) - token_count,
        token_count=token_count,
        vocabulary=vocabulary,
        mel_mean=mean,
        mel_sd=float(np.sqrt(trained["mel_squares"].sum() / values - mean**2)),
        exclusions=tuple(sorted(exclusions)),
        audio=tuple(clip.path for clip in clips),
        figures=ClipFigures(
            **{name: records[name].copy() for name in ClipFigures.__dataclass_fields__ if name != "mel_absolute"},
            mel_absolute=records["mel_absolute"] / (records["frames"] * MELS),
        ),
        stamp=stamp,
        sha256=tuple(sha256.tobytes().hex() for sha256 in records["sha256"]),
    )


def _keep(store: Path, speech: Dataset, features: Features) -> Dataset:
    """Write prepared speech where every trial will find it, and remember what it was made from."""
    speech.folder.mkdir(exist_ok=True)
    _link(features.mel_file, speech.folder / features.mel_file.name)
    speech.save(features.mel_file.name)
    for file in speech.folder.glob("mel-*.f32"):
        if file.name != features.mel_file.name:
            with contextlib.suppress(OSError):
                file.unlink()
    if features.is_settled:
        stamps = _read_stamps(store)
        stamps.pop(speech.stamp, None)
        kept = [*stamps.items(), (speech.stamp, speech.fingerprint)][-_STAMPS_KEPT:]
        write_atomically(store / _STAMPS, json.dumps(dict(kept)).encode())
    return Dataset.open(speech.folder)


def _link(source: Path, target: Path) -> None:
    """A second name for the frames, so that they outlive the cache's own clearing up; a copy where links cannot be."""
    if target.exists() and source.samefile(target):
        return
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        try:
            shutil.copyfile(source, temporary)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    temporary.replace(target)
