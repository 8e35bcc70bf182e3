"""Reads the folder layouts that speech comes in: LJSpeech, MyXTTS, Coqui, and file lists of other trainers."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from xtts.data.column_values import columns_by_content, looks_like_header
from xtts.data.columns import (
    FEWEST_ROWS,
    ID,
    NORMALISED,
    SPEAKER,
    TEXT,
    Columns,
    columns_as_given,
    columns_of_header,
    header_of,
)
from xtts.data.exclusion import Exclusion
from xtts.data.file_names import SUFFIX, FileNames, common_folders
from xtts.data.metadata_file import EVAL_PART, Line, MetadataFile, find_metadata, parse_lines, read_bytes
from xtts.errors import SpeechError

_ONE_SPEAKER = "speaker"
_SPEAKER_IN_ID = re.compile(r"(LJ)\d{3}-\d{4}|([ps]\d{1,3})_\d{3}")
_CONTROLS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
"""Characters that turn the direction of what follows: they would hide what an id is."""


class Row(NamedTuple):
    """One clip as the metadata gives it; the recording is `stem` in `base`, with or without its suffix."""

    id: str
    text: str
    speaker: str
    base: str
    stem: str
    part: str
    folder: str = ""
    """The folder of the metadata file, where the recording is looked for too."""
    in_front: str = ""
    """A folder that the names of all recordings begin with and that may not be here."""


@dataclass(frozen=True)
class Layout:
    """The clips of a data set by id, those ruled out by the metadata alone, and a digest of the metadata."""

    rows: tuple[Row, ...]
    exclusions: tuple[Exclusion, ...]
    digest: str
    columns: tuple[str, ...] = ()
    """What each column of each metadata file was taken for, a line per file."""

    @property
    def has_eval_part(self) -> bool:
        """Whether the data came with its own eval set."""
        return any(row.part == EVAL_PART for row in self.rows)


class _Line(NamedTuple):
    row: Row
    file: Path
    number: int

    @property
    def where(self) -> str:
        return f"{self.file}:{self.number}"


def read_layout(
    data: Path,
    val_data: Path | None = None,
    *,
    columns: Sequence[str] | None = None,
    allow_outside: bool = False,
    names: FileNames | None = None,
) -> Layout:
    """The clips of a folder, or of a train and an eval folder; SpeechError with file and line if malformed.

    `columns` are the roles of the columns where their names and contents do not show them.
    """
    digest = hashlib.sha256(repr((columns, allow_outside)).encode())
    lines: list[_Line] = []
    exclusions: list[Exclusion] = []
    said: list[str] = []
    names = names or FileNames()
    try:
        files = find_metadata(data, val_data)
    except (OSError, ValueError) as error:
        folders = data if val_data is None else f"{data} or {val_data}"
        raise SpeechError(f"{folders}: cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    larger: Columns | None = None
    for metadata in files:
        content = read_bytes(metadata.path)
        # Spelled as in earlier versions: where the digest differs, a prepared data set counts as changed.
        name = f"_Metadata(file={metadata.path!r}, part={metadata.part!r}, id_prefix={metadata.id_prefix!r})"
        digest.update(f"{name}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
        parsed, larger = _parse(metadata, parse_lines(metadata.path, content), columns, larger, names)
        said.append(f"{metadata.path.name}: {larger.said}" if len(files) > 1 else larger.said)
        for line in parsed:
            problem = "" if allow_outside else _escape(line.row)
            if problem:
                exclusions.append(Exclusion(line.row.id, "outside_folder", f"{line.where}: {problem}"))
            else:
                lines.append(line)
    rows = _one_row_per_id(lines, exclusions)
    return Layout(tuple(sorted(rows)), tuple(exclusions), digest.hexdigest(), tuple(said))


def _parse(
    metadata: MetadataFile,
    lines: list[Line],
    given: Sequence[str] | None,
    larger: Columns | None,
    names: FileNames,
) -> tuple[list[_Line], Columns]:
    """Rows of a metadata file and what its columns are; `larger` are those of the file before it."""
    first = lines[0]
    where = f"{metadata.path}:{first.number}"
    try:
        header = header_of(first.fields)
    except SpeechError as error:
        if given is None:
            raise SpeechError(f"{where}: {error}") from error
        header = {}
    count = len(first.fields)
    if given is not None and len(given) != count:
        raise SpeechError(f"{where}: {_columns(count)}, but --columns names {len(given)}: {','.join(given)}")
    if header is not None and len(lines) == 1:
        raise SpeechError(f"{where}: only a header: it wants a line for each clip")
    if header is None and given is None and (count == 1 or (count > 3 and len(lines) < FEWEST_ROWS)):
        raise SpeechError(f"{where}: {_columns(count)}, not id|text or id|raw|normalised{_separated_by(first.fields)}")
    for line in lines:
        if len(line.fields) != count:
            place = "where the lines before have" if header is None else "where the header has"
            raise SpeechError(f"{metadata.path}:{line.number}: {_columns(len(line.fields))} {place} {count}")
    if header and given is None:
        columns = columns_of_header(first.fields, header)
    else:
        columns = _columns_of(metadata, lines, given, larger, names, has_header=header is not None)
    clips = lines[1:] if columns.has_header else lines
    is_coqui = columns.has_header and header is not None
    return list(_rows(metadata, clips, columns, names, in_wavs=not is_coqui)), columns


def _columns_of(
    metadata: MetadataFile,
    lines: list[Line],
    given: Sequence[str] | None,
    larger: Columns | None,
    names: FileNames,
    *,
    has_header: bool,
) -> Columns:
    folder = metadata.folder

    def is_recording(value: str) -> bool:
        return bool(value) and names.find(metadata.places, folder, value) is not None

    clips = [line.fields for line in lines[1:]]
    if not has_header and len(clips) > 1:
        has_header = looks_like_header(lines[0].fields, clips, is_recording)
    if given is not None:
        return columns_as_given(tuple(given), has_header)
    rows = clips if has_header else [line.fields for line in lines]
    if larger is not None and len(larger.roles) == len(rows[0]) and len(rows) < FEWEST_ROWS:
        found = larger
    else:
        try:
            found = columns_by_content(rows, is_recording)
        except SpeechError as error:
            raise SpeechError(f"{metadata.path}:{lines[0].number}: {error}") from error
    if has_header:
        first = "|".join(field.strip() for field in lines[0].fields)
        return Columns(found.roles, f"{found.said} (the first line is a header: {first})", has_header=True)
    return found


def _separated_by(fields: Sequence[str]) -> str:
    """What the fields of a line without '|' seem to be separated by."""
    line = "".join(fields)
    if "\r" in line:
        return ": its lines end in CR alone: save it with LF line ends"
    if len(fields) > 1:
        return ": name the columns with --columns, for instance id,speaker,text,-"
    for separator, name in (("\t", "tabs"), (",", "commas"), (";", "semicolons")):
        if separator in line:
            return f": its columns seem to be separated by {name}: '|' is wanted (a spreadsheet exports it so)"
    return ": '|' is wanted between the columns"


def _rows(
    metadata: MetadataFile, lines: list[Line], columns: Columns, names: FileNames, *, in_wavs: bool
) -> Iterator[_Line]:
    """A row per clip; recordings named by an id lie in wavs/, those named by a path are relative to the folder."""
    folder = metadata.folder
    places = metadata.places
    id_at, text_at = columns.roles.index(ID), columns.roles.index(TEXT)
    normalised_at, speaker_at = columns.at(NORMALISED), columns.at(SPEAKER)
    stems = [line.fields[id_at].strip() for line in lines]
    in_front = common_folders(stems)
    if in_wavs and len(places) == 1 and not any(names.find(places, folder, stem) for stem in stems[:50] if stem):
        raise SpeechError(f"{folder}: no folder wavs with the recordings next to {metadata.path.name}")
    base = places[0] if in_wavs else folder
    for line, given in zip(lines, stems, strict=True):
        where = f"{metadata.path}:{line.number}"
        stem = _inside(given, folder)
        if not stem or not SUFFIX.sub("", PurePosixPath(stem).name):
            raise SpeechError(f"{where}: the clip has no id")
        if any(_is_unprintable(character) for character in stem):
            raise SpeechError(f"{where}: an unprintable character in the id {stem!a}")
        text = line.fields[text_at]
        if normalised_at is not None and line.fields[normalised_at].strip():
            text = line.fields[normalised_at]
        named = line.fields[speaker_at].strip() if speaker_at is not None else ""
        speaker = named or _speaker_of(PurePosixPath(stem.replace("\\", "/")).name)
        id = metadata.id_prefix + SUFFIX.sub("", stem)
        yield _Line(Row(id, text, speaker, base, stem, metadata.part, folder, in_front), metadata.path, line.number)


def _is_unprintable(character: str) -> bool:
    return character in _CONTROLS or unicodedata.category(character) in ("Cc", "Cs")


def _inside(stem: str, folder: str) -> str:
    """A recording's name, relative to the data folder where it is an absolute path inside it."""
    stem = re.sub(r"^(\./)+", "", stem)
    if stem.startswith("/") and ".." not in stem:
        for root in {folder, os.path.realpath(folder)}:
            if stem.startswith(root.rstrip("/") + "/"):
                return stem[len(root.rstrip("/")) + 1 :]
    return stem


def _columns(count: int) -> str:
    return f"{count} column{'s' if count > 1 else ''}"


def _speaker_of(name: str) -> str:
    """Speaker by the id's form: LJ016-0244 is LJ, p248_065_mic1 is p248; all others are one speaker."""
    found = _SPEAKER_IN_ID.match(name)
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
