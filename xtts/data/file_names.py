"""Finds a recording by the name that the metadata gives it, in the spellings that people and other trainers use."""

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus")
SUFFIX = re.compile(rf"({'|'.join(map(re.escape, SUFFIXES))})$", re.IGNORECASE)
_FIRST_TRIED = (".wav", ".flac", ".WAV", ".FLAC", "")


class FileNames:
    """Files by folder and name; each folder is listed once."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[str, os.DirEntry[str]]] = {}
        self._spelled: dict[str, dict[str, list[os.DirEntry[str]]]] = {}

    def find(self, places: Sequence[str], folder: str, name: str, in_front: str = "") -> os.DirEntry[str] | None:
        """The recording of that name in one of the places.

        `folder` is the data folder, whose own name may stand in front of the name; `in_front` another folder that may.
        """
        for spelling in _spellings(name, folder, in_front):
            for place in places:
                entry = self._find_in(place, spelling)
                if entry is not None:
                    return entry
        return None

    def _find_in(self, place: str, name: str) -> os.DirEntry[str] | None:
        below, _, last = name.rpartition("/")
        folder = (below or "/") if name.startswith("/") else f"{place}/{below}" if below else place
        exact = self._listing(folder)
        for suffix in _FIRST_TRIED:
            if last + suffix in exact:
                return exact[last + suffix]
        spelled = self._spelled_listing(folder)
        stem = SUFFIX.sub("", last)
        for wanted in (last, *(stem + suffix for suffix in SUFFIXES), *(last + suffix for suffix in SUFFIXES)):
            found = spelled.get(_one_spelling(wanted), ())
            if len(found) == 1:
                return found[0]
        return None

    def _listing(self, folder: str) -> dict[str, os.DirEntry[str]]:
        if folder not in self._exact:
            try:
                with os.scandir(folder) as entries:
                    self._exact[folder] = {entry.name: entry for entry in entries}
            except (OSError, ValueError):
                self._exact[folder] = {}
        return self._exact[folder]

    def _spelled_listing(self, folder: str) -> dict[str, list[os.DirEntry[str]]]:
        if folder not in self._spelled:
            self._spelled[folder] = {}
            for name, entry in self._listing(folder).items():
                self._spelled[folder].setdefault(_one_spelling(name), []).append(entry)
        return self._spelled[folder]


def common_folders(names: Sequence[str]) -> str:
    """The folders that all names begin with, such as DUMMY in a file list of VITS; empty if there are none."""
    folders = [name.replace("\\", "/").split("/")[:-1] for name in names if name]
    if len(folders) < 2:
        return ""
    common = []
    for one, other in zip(min(folders), max(folders), strict=False):
        if one != other:
            break
        common.append(one)
    return "/".join(common)


def _spellings(name: str, folder: str, in_front: str) -> Iterator[str]:
    """The name as it is, with slashes for backslashes, and without folders in front that are not inside the data."""
    yield name
    if "\\" in name:
        name = re.sub(r"^(\./)+", "", name.replace("\\", "/"))
        yield name
    if "/" not in name or name.startswith("/"):
        return
    parts = name.split("/")
    around = folder.split("/")
    common = in_front.split("/") if in_front else []
    for dropped in range(1, len(parts)):
        if parts[:dropped] == around[-dropped:] or parts[:dropped] == common[:dropped]:
            yield "/".join(parts[dropped:])


def _one_spelling(name: str) -> str:
    """One Unicode form without invisible characters, such as the joiners of Persian, and a lower-case suffix."""
    visible = "".join(character for character in name if unicodedata.category(character) != "Cf")
    return SUFFIX.sub(lambda suffix: suffix[0].lower(), unicodedata.normalize("NFC", visible))
