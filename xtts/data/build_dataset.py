"""Makes a folder of recordings into prepared speech, from the cache wherever nothing changed."""

import contextlib
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import filelock
import numpy as np

from xtts.audio.mel import MELS
from xtts.cache_folder import cache_folder
from xtts.data.dataset import ClipFigures, Dataset
from xtts.data.exclusion import REASONS, UNUSABLE_REASONS, Exclusion
from xtts.data.feature_cache import Features, Progress, update_features
from xtts.data.feature_index import SETTINGS, open_mel
from xtts.data.file_names import FileNames
from xtts.data.layouts import EVAL_PART, Layout, Row, read_layout
from xtts.data.recordings import Recordings, find_recordings
from xtts.data.sealed_file import write_atomically
from xtts.data.splits import (
    LEAST_EVAL_TEXTS,
    LEAST_TEXTS,
    TEST,
    TRAIN,
    VALIDATION,
    split_eval_texts,
    split_texts,
)
from xtts.data.text import Vocabulary, dropped, has_letters, is_turkic, normalise, spoken_length
from xtts.errors import SpeechError

__all__ = ["TEST", "TRAIN", "VALIDATION", "Dataset", "Exclusion", "Progress", "build_dataset", "no_progress"]

UNUSABLE_SHARE = 0.05
"""A larger share of unusable clips than this and the data set is refused without --accept-unusable."""
ALWAYS_SHORT_ENOUGH = 15.0
"""Seconds that no clip is excluded for, however short the others are."""
TIMES_THE_MEDIAN = 8.0
"""A clip longer than this many median clips, and than ALWAYS_SHORT_ENOUGH, is far longer than the rest."""
MOST_CHARACTERS_PER_SECOND = 100.0
"""More than anyone speaks; an aligner's time and memory grow with it."""
CHARACTERS_ALWAYS_SAID = 20
"""Texts as short as this are never too much for their recording."""
TOO_MUCH_TEXT_SHARE = 0.1
"""A larger share of clips with too much text, and the transcripts are not those of the recordings."""
USUAL_CHARACTERS_PER_SECOND = (4.0, 40.0)
"""Where the median over the clips lies whatever the language, an ideograph counted as three letters from below."""

SECONDS_WITH_A_RATE = 0.25
"""A shorter clip is no word, and says nothing about the rate of the transcripts of a set."""

_MAKING = "prepared 3"
"""Part of what says whether prepared speech is still good: raise the number when its making changes."""
_STAMPS = "stamps.json"
_STAMPS_KEPT = 16


def no_progress(done: int, total: int, what: str) -> None:
    """Show nothing."""
    del done, total, what


def build_dataset(
    data: Path,
    val_data: Path | None = None,
    *,
    split_seed: int = 0,
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
    layout, recordings = _found(data, val_data, columns, allow_outside)
    folders = (data,) if val_data is None else (data, val_data)
    stamp = recordings.stamp(_MAKING, SETTINGS, layout.digest, split_seed)
    store = cache_folder() / "features" / _digest([os.path.realpath(folder) for folder in folders])[:16]
    prepared = None if deep else _still_good(store, stamp)
    if prepared is None:
        with _writing(store), _locked(store, progress):
            # Another process may have done it while this one waited.
            prepared = None if deep else _still_good(store, stamp)
            if prepared is None:
                features = update_features(store, recordings, deep=deep, progress=progress)
                clips, exclusions = _usable(recordings, features)
                _refuse_if_unusable(data, len(clips), exclusions, accept_unusable)
                notes = _notes(recordings, clips)
                clips, in_eval = _apart_from_eval(clips, features)
                split_of = _split(val_data or data, clips, split_seed)
                speech = _assemble(store, clips, split_of, features, [*exclusions, *in_eval], stamp)
                prepared = _keep(store, replace(speech, columns=layout.columns, notes=notes), features)
    _refuse_if_unusable(data, len(prepared), prepared.exclusions, accept_unusable)
    return prepared


def stamp_of(
    data: Path,
    val_data: Path | None = None,
    *,
    split_seed: int = 0,
    columns: Sequence[str] | None = None,
    allow_outside: bool = False,
) -> str:
    """What Dataset.stamp would be if the folder were prepared now: it differs where anything has changed."""
    layout, recordings = _found(data, val_data, columns, allow_outside)
    return recordings.stamp(_MAKING, SETTINGS, layout.digest, split_seed)


def texts_and_recordings(
    data: Path, val_data: Path | None = None, *, columns: Sequence[str] | None = None, allow_outside: bool = False
) -> dict[str, tuple[str, str]]:
    """The normalised text and the recording of every clip that the folder holds now, by id."""
    _, recordings = _found(data, val_data, columns, allow_outside)
    turkic = is_turkic(row.text for row in recordings.rows)
    return {
        row.id: (normalise(row.text, turkic=turkic), path)
        for row, path in zip(recordings.rows, recordings.paths, strict=True)
    }


def _found(
    data: Path, val_data: Path | None, columns: Sequence[str] | None, allow_outside: bool
) -> tuple[Layout, Recordings]:
    names = FileNames()
    layout = read_layout(data, val_data, columns=columns, allow_outside=allow_outside, names=names)
    folders = (data,) if val_data is None else (data, val_data)
    return layout, find_recordings(layout, folders, allow_outside=allow_outside, names=names)


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


@dataclass(frozen=True)
class _Clip:
    """A usable clip on its way to prepared speech; `at` is its place among the recordings."""

    at: int
    row: Row
    path: str
    text: str


def _usable(recordings: Recordings, features: Features) -> tuple[list[_Clip], list[Exclusion]]:
    """The clips that can be learned from, and all others with their reasons."""
    exclusions = list(recordings.exclusions)
    clips: list[_Clip] = []
    seconds = features.records["seconds"]
    decoded = seconds[features.records["frames"] > 0]
    median = float(np.median(decoded)) if len(decoded) else 0.0
    longest = max(ALWAYS_SHORT_ENOUGH, TIMES_THE_MEDIAN * median)
    turkic = is_turkic(row.text for row in recordings.rows)
    for at, (row, path) in enumerate(zip(recordings.rows, recordings.paths, strict=True)):
        problem = features.problems.get(at)
        text = normalise(row.text, turkic=turkic)
        if problem:
            exclusions.append(Exclusion(row.id, problem.reason, f"{path}: {problem.detail}"))
        elif seconds[at] > longest:
            detail = f"{path}: {seconds[at]:.1f} s where half of the clips are under {median:.1f} s"
            exclusions.append(Exclusion(row.id, "far_longer", detail))
        elif not has_letters(text):
            exclusions.append(Exclusion(row.id, "no_text", f"{path}: its text is {row.text[:80]!r}"))
        elif len(text) > CHARACTERS_ALWAYS_SAID + MOST_CHARACTERS_PER_SECOND * seconds[at]:
            detail = f"{path}: {len(text):,} characters in {seconds[at]:.1f} s, beginning {text[:40]!r}"
            reason = "too_much_text" if seconds[at] >= SECONDS_WITH_A_RATE else "cut_off"
            exclusions.append(Exclusion(row.id, reason, detail))
        else:
            clips.append(_Clip(at, row, path, text))
    return clips, exclusions


def _notes(recordings: Recordings, clips: list[_Clip]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What was read otherwise than it stands there: recordings from elsewhere, characters that are not spoken."""
    notes = []
    if recordings.outside:
        notes.append(("recordings outside the data folder, read because of --allow-outside", recordings.outside))
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for clip in clips:
        for character, count in dropped(clip.row.text).items():
            counts[character] += count
            first.setdefault(character, clip.row.id)
    if counts:
        named = tuple(
            f"{character} U+{ord(character):04X} ({count:,} times, first in {first[character]})"
            for character, count in counts.most_common()
        )
        notes.append(("characters that are not spoken and were left out of the texts", named))
    return tuple(notes)


def suspicious_rate(speech: Dataset) -> str:
    """What is wrong with the characters a second of a data set; empty if they can be speech.

    A set of clips too short to have a rate is not refused for it: each of them is named by its alignment.
    """
    least, most = USUAL_CHARACTERS_PER_SECOND
    figures = speech.figures.seconds
    judged = np.flatnonzero(figures >= SECONDS_WITH_A_RATE)
    if 2 * len(judged) < len(speech):
        return ""
    slow = float(np.median([spoken_length(speech.texts[at]) / figures[at] for at in judged]))
    fast = float(np.median([len(speech.texts[at]) / figures[at] for at in judged]))
    if least <= slow and fast <= most:
        return ""
    rate, bound = (slow, f"under {least:g}") if slow < least else (fast, f"over {most:g}")
    examples = ", ".join(f"{speech.ids[at]} {speech.texts[at][:40]!r}" for at in range(min(2, len(speech))))
    return (
        f"half of the texts have {bound} characters a second ({rate:.1f}), which is no speech: "
        f"are the texts in another column (--columns id,speaker,text)? They begin with {examples}"
    )


_ADVICE = {
    "too_long": "split them at pauses into clips of 2 to 15 s, each with its own text (examples/data_recipes.md)",
    "outside_folder": "copy the recordings into the folder, or read them where they are with --allow-outside",
    "too_much_text": "mend their transcripts",
    "missing": "name the recordings as they are, or name the columns with --columns id,speaker,text",
}


def _refuse_if_unusable(data: Path, usable: int, exclusions: Iterable[Exclusion], accept_unusable: bool) -> None:
    exclusions = list(exclusions)
    unusable = [exclusion for exclusion in exclusions if exclusion.reason in UNUSABLE_REASONS]
    listed = usable + len(unusable)
    too_much = [exclusion for exclusion in exclusions if exclusion.reason == "too_much_text"]
    if not usable or (len(too_much) > TOO_MUCH_TEXT_SHARE * (usable + len(too_much)) and not accept_unusable):
        unusable += too_much
        listed += len(too_much)
    if usable and (accept_unusable or len(unusable) <= UNUSABLE_SHARE * listed):
        return
    counts = Counter(exclusion.reason for exclusion in unusable)
    reasons = ", ".join(f"{count} {REASONS[reason]}" for reason, count in counts.most_common())
    first = f"{unusable[0].id} ({unusable[0].detail})" if unusable else "none"
    advice = "mend or remove them, or leave them out with --accept-unusable" if usable else "mend them"
    for reason, words in _ADVICE.items():
        if 2 * counts[reason] > len(unusable):
            advice = f"{words}, or leave them out with --accept-unusable" if usable else words
    share = f"{len(unusable)} of {listed} clips ({100 * len(unusable) / max(1, listed):.1f} %)"
    raise SpeechError(f"{data}: {share} cannot be used: {reasons}; first {first}: {advice}")


def _apart_from_eval(clips: list[_Clip], features: Features) -> tuple[list[_Clip], list[Exclusion]]:
    """The clips without those for training whose text or recording is also in the eval set.

    The eval set stays as it was given, so that results on it compare with others' results.
    """
    sha256 = features.records["sha256"]
    texts = {clip.text for clip in clips if clip.row.part == EVAL_PART}
    contents = {sha256[clip.at].tobytes() for clip in clips if clip.row.part == EVAL_PART}
    kept: list[_Clip] = []
    exclusions: list[Exclusion] = []
    for clip in clips:
        if clip.row.part == EVAL_PART or (clip.text not in texts and sha256[clip.at].tobytes() not in contents):
            kept.append(clip)
        else:
            what = "text" if clip.text in texts else "recording"
            exclusions.append(Exclusion(clip.row.id, "in_eval", f"{clip.path}: its {what} is in the eval set too"))
    return kept, exclusions


def _split(data: Path, clips: list[_Clip], seed: int) -> dict[str, int]:
    """Split of each text; SpeechError if there are too few."""
    evaluated = [clip.text for clip in clips if clip.row.part == EVAL_PART]
    others = [clip.text for clip in clips if clip.row.part != EVAL_PART]
    has_eval_part = any(clip.row.part != "all" for clip in clips)
    try:
        if not has_eval_part:
            return split_texts(others, seed)
        split_of = split_eval_texts(evaluated, seed)
    except ValueError as error:
        least = LEAST_EVAL_TEXTS if has_eval_part else LEAST_TEXTS
        raise SpeechError(f"{data}: {error}: at least {least} are needed, to be split by text") from error
    if not others:
        raise SpeechError(f"{data}: every training text is in the eval set too: nothing is left to train on")
    return split_of | dict.fromkeys(others, TRAIN)


def _assemble(
    store: Path,
    clips: list[_Clip],
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
