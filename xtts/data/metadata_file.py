"""Finds the metadata files of a data set and reads them into numbered lines of fields, unquoted where the file is
quoted as csv does it."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from xtts.errors import SpeechError

DELIMITER = "|"
_JOINED_LINES = 20
"""A quoted field may hold line ends; one that is not closed within so many lines was never meant to be one."""
_QUOTED_SHARE = 0.9
_LOOKED_AT = 100
_WELL_QUOTED = re.compile(r'"(?:[^"]|"")*"')
ALL, TRAIN_PART, EVAL_PART = "all", "train", "eval"


class MetadataFile(NamedTuple):
    """A metadata file, the part of the data that it lists, and what the ids of its clips begin with."""

    path: Path
    part: str
    id_prefix: str

    @property
    def folder(self) -> str:
        """The folder it lies in."""
        return str(self.path.parent.absolute())

    @property
    def places(self) -> tuple[str, ...]:
        """Folders that may hold the recordings: those for them that are there, and the metadata's own."""
        folder = self.path.parent.absolute()
        named = [str(folder / name) for name in (f"wavs_{self.part}", "wavs") if (folder / name).is_dir()]
        return (*named, str(folder))


class Line(NamedTuple):
    """One clip's fields and the line of the file on which they begin."""

    number: int
    fields: tuple[str, ...]


def find_metadata(data: Path, val_data: Path | None) -> list[MetadataFile]:
    """The metadata files of a folder, or of a train and an eval folder."""
    whole, train, held_out = (data / name for name in ("metadata.csv", "metadata_train.csv", "metadata_eval.csv"))
    _require_folder(data)
    if val_data is None or (data.resolve() == val_data.resolve() and held_out.is_file()):
        if train.is_file() and held_out.is_file():
            return [MetadataFile(train, TRAIN_PART, ""), MetadataFile(held_out, EVAL_PART, "")]
        if val_data is not None:
            raise SpeechError(f"{data}: holds metadata_eval.csv but no metadata_train.csv")
        if whole.is_file() and train.is_file():
            raise SpeechError(f"{data}: holds metadata.csv and metadata_train.csv but no metadata_eval.csv: remove one")
        return [MetadataFile(_first_file(data, "metadata.csv", "metadata_train.csv"), ALL, "")]
    _require_folder(val_data)
    if data.resolve() == val_data.resolve():
        raise SpeechError(f"{val_data}: is the training folder too, and has no metadata_eval.csv: leave --val-data out")
    if held_out.is_file():
        raise SpeechError(f"{held_out}: a second eval set next to {val_data}: leave --val-data out or remove the file")
    return [
        MetadataFile(_first_file(data, "metadata_train.csv", "metadata.csv"), TRAIN_PART, ""),
        # The two folders may use the same ids for different recordings.
        MetadataFile(_first_file(val_data, "metadata_eval.csv", "metadata.csv"), EVAL_PART, "eval/"),
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


def read_bytes(file: Path) -> bytes:
    """The content of a metadata file; SpeechError if it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise SpeechError(f"{file}: cannot be read: {error.strerror}") from error


def parse_lines(file: Path, content: bytes) -> list[Line]:
    """All lines that hold something, split at '|'; SpeechError if there are none or the text is not UTF-8."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise SpeechError(f"{file}:{number}: not UTF-8: save the file as UTF-8") from error
    # Only a newline ends a line here: str.splitlines would also cut at rarer characters inside a text.
    # Files that were joined have a BOM inside; DOS ends one with Ctrl-Z.
    lines = text.removesuffix("\n").removesuffix("\x1a").split("\n")
    numbered = [(number, line.strip("\ufeff").rstrip("\r")) for number, line in enumerate(lines, 1)]
    numbered = [(number, line) for number, line in numbered if line and not line.isspace()]
    if not numbered:
        raise SpeechError(f"{file}: empty: it wants a line of id|text for each clip")
    if "\0" in numbered[0][1]:
        raise SpeechError(f"{file}:{numbered[0][0]}: unprintable NUL characters: save the file as UTF-8, not UTF-16")
    plain = [Line(number, tuple(line.split(DELIMITER))) for number, line in numbered]
    if '"' not in text:
        return plain
    counts = Counter(len(fields) for _, line in numbered[:_LOOKED_AT] if (fields := _split(line)) is not None)
    quoted = _quoted_lines(numbered, counts.most_common(1)[0][0] if counts else len(plain[0].fields))
    # Coqui's header is written by csv writers.
    header = [field.strip().strip('"').lower() for field in plain[0].fields]
    if "audio_file" not in header and not _is_quoted([line.fields for line in quoted]):
        return plain
    return [Line(line.number, tuple(_unquoted(field) for field in line.fields)) for line in quoted]


def _quoted_lines(numbered: Sequence[tuple[int, str]], columns: int) -> list[Line]:
    """The lines as csv reads them, quotes still around fields; a field with a lone quote stays as it is."""
    found: list[Line] = []
    at = 0
    while at < len(numbered):
        number, line = numbered[at]
        at += 1
        fields = _split(line)
        if fields is None or len(fields) < columns:
            joined = line
            for further in range(at, min(at + _JOINED_LINES, len(numbered))):
                # A line with all its columns is a clip of its own.
                if numbered[further][1].count(DELIMITER) >= columns - 1:
                    break
                joined += "\n" + numbered[further][1]
                together = _split(joined)
                if together is not None and len(together) == columns:
                    fields, at = together, further + 1
                    break
        found.append(Line(number, tuple(line.split(DELIMITER)) if fields is None else tuple(fields)))
    return found


def _split(line: str) -> list[str] | None:
    """Fields of a line in which no delimiter inside quotes counts; None if a quoted field is not closed."""
    fields: list[str] = []
    at = 0
    while True:
        start = at
        while start < len(line) and line[start] == " ":
            start += 1
        quoted = _WELL_QUOTED.match(line, start) if line[start : start + 1] == '"' else None
        end = quoted.end() if quoted else -1
        while quoted and end < len(line) and line[end] == " ":
            end += 1
        if quoted is None or (end < len(line) and line[end] != DELIMITER):
            if line[start : start + 1] == '"':
                return None
            end = line.find(DELIMITER, at)
            end = len(line) if end < 0 else end
        fields.append(line[at:end])
        if end >= len(line):
            return fields
        at = end + 1


def _is_quoted(lines: Sequence[tuple[str, ...]]) -> bool:
    """Whether quotes around fields are the file's, not the texts': csv doubles quotes inside or quotes all fields."""
    well = ill = telling = 0
    by_column: dict[int, int] = {}
    for fields in lines:
        for column, field in enumerate(fields):
            stripped = field.strip()
            if not stripped.startswith('"'):
                continue
            if not _WELL_QUOTED.fullmatch(stripped):
                ill += 1
                continue
            well += 1
            by_column[column] = by_column.get(column, 0) + 1
            inner = stripped[1:-1]
            telling += '""' in inner or DELIMITER in inner or "\n" in inner
    whole_column = any(count >= _QUOTED_SHARE * len(lines) for count in by_column.values())
    return well > ill and (whole_column or 2 * telling > ill)


def _unquoted(field: str) -> str:
    stripped = field.strip()
    if _WELL_QUOTED.fullmatch(stripped):
        return " ".join(stripped[1:-1].replace('""', '"').split("\n"))
    return field
