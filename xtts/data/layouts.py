"""Reads the folder layouts that speech comes in: LJSpeech, MyXTTS and Coqui."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from xtts.data.exclusion import Exclusion
from xtts.errors import SpeechError

ALL, TRAIN_PART, EVAL_PART = "all", "train", "eval"
_ONE_SPEAKER = "speaker"
_SPEAKER_IN_ID = re.compile(r"(LJ)\d{3}-\d{4}|([ps]\d{1,3})_\d{3}")
_COQUI_HEADER = ("audio_file", "text")


class Row(NamedTuple):
    """One clip as the metadata gives it; the recording is `stem` in `base`, with or without its suffix."""

    id: str
    text: str
    speaker: str
    base: str
    stem: str
    part: str


@dataclass(frozen=True)
class Layout:
    """The clips of a data set by id, those ruled out by the metadata alone, and a digest of the metadata."""

    rows: tuple[Row, ...]
    exclusions: tuple[Exclusion, ...]
    digest: str

    @property
    def has_eval_part(self) -> bool:
        """Whether the data came with its own eval set."""
        return any(row.part == EVAL_PART for row in self.rows)


class _Metadata(NamedTuple):
    file: Path
    part: str
    id_prefix: str


class _Line(NamedTuple):
    row: Row
    file: Path
    number: int

    @property
    def where(self) -> str:
        return f"{self.file}:{self.number}"


def read_layout(data: Path, val_data: Path | None = None) -> Layout:
    """The clips of a folder, or of a train and an eval folder; SpeechError with file and line if malformed."""
    digest = hashlib.sha256()
    lines: list[_Line] = []
    exclusions: list[Exclusion] = []
    try:
        files = _find_metadata(data, val_data)
    except (OSError, ValueError) as error:
        folders = data if val_data is None else f"{data} or {val_data}"
        raise SpeechError(f"{folders}: cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    for metadata in files:
        content = _read(metadata.file)
        digest.update(f"{metadata}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
        for line in _parse(metadata, _text_lines(metadata.file, content)):
            problem = _escape(line.row)
            if problem:
                exclusions.append(Exclusion(line.row.id, "outside_folder", f"{line.where}: {problem}"))
            else:
                lines.append(line)
    rows = _one_row_per_id(lines, exclusions)
    return Layout(tuple(sorted(rows)), tuple(exclusions), digest.hexdigest())


def _find_metadata(data: Path, val_data: Path | None) -> list[_Metadata]:
    whole, train, held_out = (data / name for name in ("metadata.csv", "metadata_train.csv", "metadata_eval.csv"))
    _require_folder(data)
    if val_data is None or (data.resolve() == val_data.resolve() and held_out.is_file()):
        if train.is_file() and held_out.is_file():
            return [_Metadata(train, TRAIN_PART, ""), _Metadata(held_out, EVAL_PART, "")]
        if val_data is not None:
            raise SpeechError(f"{data}: holds metadata_eval.csv but no metadata_train.csv")
        if whole.is_file() and train.is_file():
            raise SpeechError(f"{data}: holds metadata.csv and metadata_train.csv but no metadata_eval.csv: remove one")
        return [_Metadata(_first_file(data, "metadata.csv", "metadata_train.csv"), ALL, "")]
    _require_folder(val_data)
    if data.resolve() == val_data.resolve():
        raise SpeechError(f"{val_data}: is the training folder too, and has no metadata_eval.csv: leave --val-data out")
    if held_out.is_file():
        raise SpeechError(f"{held_out}: a second eval set beside {val_data}: leave --val-data out or remove the file")
    return [
        _Metadata(_first_file(data, "metadata_train.csv", "metadata.csv"), TRAIN_PART, ""),
        # The two folders may use the same ids for different recordings.
        _Metadata(_first_file(val_data, "metadata_eval.csv", "metadata.csv"), EVAL_PART, "eval/"),
    ]


def _require_folder(folder: Path) -> None:
    if not folder.exists():
        raise SpeechError(f"{folder}: no such folder: give one with metadata.csv and wavs/ in it")
    if not folder.is_dir():
        raise SpeechError(f"{folder}: not a folder: give the one that holds metadata.csv and wavs/")


def _first_file(folder: Path, *names: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise SpeechError(f"{folder}: holds no {' or '.join(names)} with lines of id|text")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SpeechError(f"{file}: cannot be read: {error.strerror}") from error


def _text_lines(file: Path, content: bytes) -> list[tuple[int, str]]:
    """Numbered lines that hold something."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SpeechError(f"{file}:{line}: not UTF-8: save the file as UTF-8") from error
    # Only a newline ends a line here: str.splitlines would also cut at rarer characters inside a text.
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line and not line.isspace()]
    if not lines:
        raise SpeechError(f"{file}: empty: it wants a line of id|text for each clip")
    return lines


def _parse(metadata: _Metadata, lines: list[tuple[int, str]]) -> Iterator[_Line]:
    header = [name.strip() for name in lines[0][1].split("|")]
    parsed = _coqui(metadata, header, lines[1:]) if "audio_file" in header else _ljspeech(metadata, lines)
    for line in parsed:
        name = line.row.stem
        if not name:
            raise SpeechError(f"{line.where}: the clip has no id")
        if not line.row.id.isprintable():
            raise SpeechError(f"{line.where}: an unprintable character in the id {name!a}")
        yield line


def _ljspeech(metadata: _Metadata, lines: list[tuple[int, str]]) -> Iterator[_Line]:
    """`id|text` or `id|raw|normalised`, the recordings in wavs/ (or wavs_train/ and wavs_eval/)."""
    base = _recordings_folder(metadata)
    columns = lines[0][1].count("|") + 1
    if columns not in (2, 3):
        raise SpeechError(f"{metadata.file}:{lines[0][0]}: {_columns(columns)}, not id|text or id|raw|normalised")
    for number, line in lines:
        fields = line.split("|")
        if len(fields) != columns:
            place = f"{metadata.file}:{number}"
            raise SpeechError(f"{place}: {_columns(len(fields))} where the lines before have {columns}")
        name = fields[0].strip()
        text = fields[-1] if fields[-1].strip() else fields[1]
        row = Row(metadata.id_prefix + name, text, _speaker_of(name), base, name, metadata.part)
        yield _Line(row, metadata.file, number)


def _coqui(metadata: _Metadata, header: list[str], lines: list[tuple[int, str]]) -> Iterator[_Line]:
    """A header with audio_file, text and perhaps speaker_name; recordings are relative to the folder itself."""
    for name in _COQUI_HEADER:
        if header.count(name) != 1:
            raise SpeechError(f"{metadata.file}:1: the header {'|'.join(header)!r} wants one column {name}")
    if not lines:
        raise SpeechError(f"{metadata.file}: only a header: it wants a line for each clip")
    audio_at, text_at = header.index("audio_file"), header.index("text")
    speaker_at = header.index("speaker_name") if "speaker_name" in header else None
    base = str(metadata.file.parent.absolute())
    for number, line in lines:
        fields = line.split("|")
        if len(fields) != len(header):
            place = f"{metadata.file}:{number}"
            raise SpeechError(f"{place}: {_columns(len(fields))} where the header has {len(header)}")
        stem = _unquoted(fields[audio_at]).removeprefix("./")
        id = metadata.id_prefix + re.sub(r"\.(wav|flac)$", "", stem, flags=re.IGNORECASE)
        named = _unquoted(fields[speaker_at]) if speaker_at is not None else ""
        speaker = named or _speaker_of(PurePosixPath(stem).name)
        row = Row(id, _unquoted(fields[text_at]), speaker, base, stem, metadata.part)
        yield _Line(row, metadata.file, number)


def _columns(count: int) -> str:
    return f"{count} column{'s' if count > 1 else ''}"


def _unquoted(field: str) -> str:
    """A field without the quotes that pandas puts around one that holds a quote."""
    field = field.strip()
    if len(field) >= 2 and field[0] == field[-1] == '"':
        return field[1:-1].replace('""', '"')
    return field


def _recordings_folder(metadata: _Metadata) -> str:
    folder = metadata.file.parent.absolute()
    for name in (f"wavs_{metadata.part}", "wavs"):
        if (folder / name).is_dir():
            return str(folder / name)
    raise SpeechError(f"{folder}: no folder wavs with the recordings beside {metadata.file.name}")


def _speaker_of(name: str) -> str:
    """Speaker by the id's form: LJ016-0244 is LJ, p248_065_mic1 is p248; all others are one speaker."""
    found = _SPEAKER_IN_ID.match(name.rpartition("/")[2])
    return (found[1] or found[2]) if found else _ONE_SPEAKER


def _escape(row: Row) -> str:
    """How a row's recording leaves the data folder by its name alone; empty if it does not."""
    stem = row.stem
    if ".." not in stem and ":" not in stem and "\\" not in stem and stem[0] not in "/~":
        return ""
    if PurePosixPath(stem).is_absolute() or PureWindowsPath(stem).anchor:
        return f"{stem} is an absolute path"
    return f"{stem} leads out of the folder" if ".." in re.split(r"[/\\]", stem) else ""


def _one_row_per_id(lines: list[_Line], exclusions: list[Exclusion]) -> list[Row]:
    """Rows whose id stands once; what stands twice with different texts is left out, since neither can be trusted."""
    first_of: dict[str, _Line] = {}
    disputed: dict[str, str] = {}
    for line in lines:
        row = line.row
        first = first_of.setdefault(row.id, line)
        if first is line:
            continue
        if first.row.part != row.part:
            exclusions.append(Exclusion(row.id, "in_eval", f"{first.where} and {line.where} name one recording"))
            first_of[row.id] = line if row.part == EVAL_PART else first
        else:
            detail = f"{first.where} and {line.where} have one id"
            exclusions.append(Exclusion(row.id, "repeated_id", detail))
            if row.text != first.row.text or row.base != first.row.base or row.stem != first.row.stem:
                disputed[row.id] = f"{detail} but different texts or recordings"
    exclusions.extend(Exclusion(id, "repeated_id", detail) for id, detail in disputed.items())
    return [line.row for id, line in first_of.items() if id not in disputed]
