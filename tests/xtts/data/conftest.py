"""A settled data folder and a cache of its own for each test."""

import os
import time

import pytest

from tests.xtts.made_speech import write_ljspeech


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XTTS_SWEEP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def data(tmp_path):
    folder = write_ljspeech(tmp_path / "data")
    # Recordings that changed a moment ago are looked at again; these are meant to be settled.
    hour_ago = time.time() - 3600
    for file in (folder / "wavs").iterdir():
        os.utime(file, (hour_ago, hour_ago))
    return folder
