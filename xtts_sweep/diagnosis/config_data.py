"""The data set that a trainer's config names, where it is on this machine, and what its texts look like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from xtts.errors import SpeechError
from xtts.prepare.text_fit import TextFit, text_fit

FILE_KEYS = ("csv_path", "metadata_train_file", "metadata_file", "train_filelist_path")
"""Piper, MyXTTS, Matcha: the metadata file"""
METADATA = ("metadata.csv", "metadata_train.csv")
"""What a data set's reader looks for in its folder"""


def texts_of(config: Mapping[str, object]) -> TextFit | None:
    """What the texts of the config's data set look like; None where it is not here or cannot be read."""
    for file in _metadata_files(config):
        if file.name in METADATA and file.is_absolute() and _is_there(file):
            return _seen(file.parent)
    return None


def _is_there(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # a name that is too long, or a folder that may not be read
        return False


def _metadata_files(config: Mapping[str, object]) -> Iterator[Path]:
    datasets = config.get("datasets")
    for one in datasets if isinstance(datasets, list) else ():  # Coqui
        if isinstance(one, Mapping) and one.get("path") and one.get("meta_file_train"):
            yield Path(str(one["path"])) / str(one["meta_file_train"])
    for path, value in config.items():
        if path.rpartition(".")[2] in FILE_KEYS and isinstance(value, str):
            yield Path(value)


@cache
def _seen(folder: Path) -> TextFit | None:
    try:
        return text_fit(folder)
    except (SpeechError, OSError):
        return None
