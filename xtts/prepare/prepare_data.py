"""From a folder of speech to what every trial opens: features, splits and alignment, made once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xtts.alignment.aligned import AlignedDataset, align_dataset
from xtts.data.build_dataset import build_dataset, listing_of
from xtts.data.columns import PLAIN_COLUMNS, parse_columns
from xtts.data.dataset import Dataset
from xtts.data.features.cache import Progress
from xtts.data.usable_clips import suspicious_rate
from xtts.errors import SpeechError
from xtts.prepare.demo_speech import demo_speech
from xtts.prepare.health import Finding, HealthReport, check

_SEPARATOR = "#"
_DEMO = "demo speech"


@dataclass(frozen=True)
class PreparedData:
    """Speech that trials can learn from, and its summary."""

    data: str
    """The handle that trainers are given."""
    summary: dict[str, object]
    """For sweep.yaml and the report."""
    health: HealthReport
    aligned: AlignedDataset

    def lines(self) -> list[str]:
        """For the terminal, before a sweep starts."""
        health = self.health
        left_out, voices = sum(health.excluded.values()), len(health.speakers)
        lines = [
            f"speech       {health.clips:,} clips, {60.0 * health.hours:.1f} minutes, "
            f"{voices} voice{'' if voices == 1 else 's'}"
            f" ({self.summary['source']}); {_counted(health.splits)}",
            *(f"columns      {line}" for line in self.aligned.speech.columns if line != PLAIN_COLUMNS),
            f"alignment    mean confidence {self.aligned.mean_confidence:.2f}; "
            f"{len(self.aligned.misaligned())} clips to look at (check names them)",
        ]
        if left_out:
            lines.append(f"left out     {left_out} clips: {_counted(health.excluded)}")
        for what, named in self.aligned.speech.notes:
            lines.append(f"look at      {Finding(what, named).line()}")
        return lines


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def prepare_data(
    data: str | None,
    val_data: str | None = None,
    *,
    accept_unusable: bool = False,
    deep: bool = False,
    columns: str | None = None,
    allow_outside: bool = False,
    progress: Progress,
) -> PreparedData:
    """Prepare a folder of speech (None: the demo speech); SpeechError names what is wrong with it.

    `columns` names the metadata's columns ("id,speaker,text") where they do not show; `allow_outside` reads recordings
    outside the folder. `accept_unusable` also takes what has too few or too many characters a second for speech.
    """
    roles = None if columns is None else parse_columns(columns)
    folder = demo_speech(progress) if data is None else Path(data)
    held_out = None if val_data is None else Path(val_data)
    speech = build_dataset(
        folder,
        held_out,
        accept_unusable=accept_unusable,
        deep=deep,
        columns=roles,
        allow_outside=allow_outside,
        progress=progress,
    )
    rate = "" if accept_unusable else suspicious_rate(speech)
    if rate:
        raise SpeechError(f"{folder}: {rate}; --accept-unusable trains on them as they are")
    aligned = align_dataset(speech, progress)
    health = check(speech, aligned.summary())
    summary: dict[str, object] = {
        "source": _DEMO if data is None else str(folder.absolute()),
        "fingerprint": speech.fingerprint,
        "clips": health.clips,
        "hours": round(health.hours, 4),
        "speakers": health.speakers,
        "splits": health.splits,
        "excluded": health.excluded,
        "mel_mean": speech.mel_mean,
        "mel_sd": speech.mel_sd,
        "alignment": aligned.summary(),
        "letter_order": health.letter_order,
        "columns": list(speech.columns),
        "notes": [Finding(what, named).line() for what, named in speech.notes],
    }
    if columns is not None or allow_outside:
        summary["read_with"] = {"columns": columns, "allow_outside": allow_outside}
    if held_out is not None:
        summary["validation_source"] = str(held_out.absolute())
    return PreparedData(f"{speech.folder}{_SEPARATOR}{speech.fingerprint[:16]}", summary, health, aligned)


def reopen_data(handle: str, summary: Mapping[str, Any], progress: Progress) -> tuple[str, str]:
    """The handle of a run that is resumed, and in one line how its data has changed since; empty where it has not.

    A run's features are its own: they are used also where metadata or recordings have changed. Where the cache was
    deleted they are made again from the recordings; SpeechError where those are no longer what the run learned from.
    """
    source = summary.get("source")
    read_with = summary.get("read_with") or {}
    data = None if source == _DEMO else str(source)
    options: dict[str, Any] = {
        "columns": read_with.get("columns"),
        "allow_outside": bool(read_with.get("allow_outside")),
    }
    folder = data_folder(handle)
    try:
        aligned = open_data(handle)
    except SpeechError:
        try:
            again = prepare_data(
                data, summary.get("validation_source"), accept_unusable=True, progress=progress, **options
            )
        except SpeechError as error:
            raise SpeechError(
                f"the features of this run in {folder} are gone, and cannot be made again: {error}"
            ) from error
        if summary.get("fingerprint") not in (None, again.summary["fingerprint"]):
            raise SpeechError(
                f"the features of this run in {folder} are gone, and {source} has changed since it began: "
                f"{_difference(summary, again.summary)}; put back what it was, or start a new run"
            ) from None
        return again.data, ""
    if data is None:
        return handle, ""
    return handle, _changed(aligned.speech, Path(data), summary, options)


def _changed(speech: Dataset, source: Path, summary: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """What differs between a run's speech and its folder as it is now; the folder is listed, no recording is read."""
    kept = "the resumed run uses the speech it began with"
    held_out = summary.get("validation_source")
    columns = options["columns"]
    try:
        now = listing_of(
            source,
            None if held_out is None else Path(held_out),
            columns=None if columns is None else parse_columns(columns),
            allow_outside=options["allow_outside"],
        )
    except SpeechError as error:
        return f"the speech in {source} cannot be read any more ({error}); {kept}"
    if now.stamp == speech.stamp:
        return ""
    details = _differences(speech, now.texts_and_recordings())
    return f"{source} has changed since the run began ({details}); {kept}" if details else ""


def _differences(speech: Dataset, known: Mapping[str, tuple[str, str]]) -> str:
    """Which clips are new, gone, or have another text or recording; empty where only times of files differ."""
    left_out = {exclusion.id for exclusion in speech.exclusions}
    mine = dict(zip(speech.ids, speech.texts, strict=True))
    new = [id for id in known if id not in mine and id not in left_out]
    gone = [id for id in mine if id not in known]
    texts = [id for id, text in mine.items() if id in known and known[id][0] != text]
    digests = dict(zip(speech.ids, speech.sha256, strict=True)) if speech.sha256 else {}
    recordings = [id for id, digest in digests.items() if id in known and _is_other(known[id][1], digest, speech.since)]
    found = [
        f"{len(ids)} {what}: {', '.join(ids[:3])}{', ...' if len(ids) > 3 else ''}"
        for what, ids in (
            ("new clips", new),
            ("clips gone", gone),
            ("other texts", texts),
            ("other recordings", recordings),
        )
        if ids
    ]
    return "; ".join(found)


def _is_other(recording: str, digest: str, since: float) -> bool:
    """Whether a recording has another content; only one that was written or moved since is read."""
    try:
        status = Path(recording).stat()
        if max(status.st_mtime, status.st_ctime) < since:
            return False
        return hashlib.sha256(Path(recording).read_bytes()).hexdigest() != digest
    except OSError:
        return True


def _difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if then.get("clips") != now["clips"]:
        return f"{then.get('clips')} clips then, {now['clips']} now"
    if then.get("splits") != now["splits"]:
        return f"split {then.get('splits')} then, {now['splits']} now: versions before 0.2.0 tested on fewer texts"
    return "other texts or recordings"


def data_folder(handle: str) -> Path:
    """The folder that a handle stands for: features, splits and alignment, nothing outside it."""
    return Path(handle.rpartition(_SEPARATOR)[0])


def data_in(handle: str, folder: Path) -> str:
    """The same handle for a copy of its folder."""
    return f"{folder}{_SEPARATOR}{handle.rpartition(_SEPARATOR)[2]}"


def open_data(handle: str) -> AlignedDataset:
    """The speech that a handle stands for; SpeechError if it has changed or gone since the handle was made."""
    folder, _, fingerprint = handle.rpartition(_SEPARATOR)
    aligned = AlignedDataset.open(Path(folder))
    if not aligned.speech.fingerprint.startswith(fingerprint) or not fingerprint:
        raise SpeechError(
            f"the speech behind {folder} has changed since the run began: run on it as it was, or start anew"
        )
    return aligned
