"""A resumed run keeps the speech it began with, says how the folder has changed, and makes a lost cache again."""

import os
import shutil
import time

import pytest

from tests.xtts.made_speech import write_clip, write_ljspeech
from xtts.data.build_dataset import no_progress
from xtts.errors import SpeechError
from xtts.prepare.prepare_data import data_folder, open_data, prepare_data, reopen_data


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A folder of speech, and the handle and summary of a run that began on it."""
    monkeypatch.setenv("XTTS_SWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("xtts.alignment.training._FEWEST_UPDATES", 4)
    monkeypatch.setattr("xtts.alignment.training._FEWEST_EPOCHS", 1)
    monkeypatch.setattr("xtts.alignment.training._DURATION_EPOCHS", 1)
    folder = write_ljspeech(tmp_path / "data", 12)
    hour_ago = time.time() - 3600
    for file in (folder / "wavs").iterdir():
        os.utime(file, (hour_ago, hour_ago))
    prepared = prepare_data(str(folder), progress=no_progress)
    return folder, prepared.data, prepared.summary


def test_nothing_is_said_where_nothing_has_changed(begun):
    folder, handle, summary = begun
    assert reopen_data(handle, summary, no_progress) == (handle, "")
    os.utime(folder / "wavs/clip003.wav")
    assert reopen_data(handle, summary, no_progress) == (handle, "")


def test_what_has_changed_is_said_and_the_runs_own_speech_stays(begun):
    folder, handle, summary = begun
    lines = (folder / "metadata.csv").read_text().splitlines()
    texts = open_data(handle).speech.texts
    (folder / "metadata.csv").write_text("\n".join([f"{lines[0]} indeed", *lines[2:]]) + "\n")
    write_clip(folder / "wavs/clip005.wav", 0.4, seed=99)
    again, changed = reopen_data(handle, summary, no_progress)
    assert again == handle
    for words in ("1 clips gone: clip001", "1 other texts: clip000", "1 other recordings: clip005", "it began with"):
        assert words in changed
    assert "\n" not in changed
    prepare_data(str(folder), accept_unusable=True, progress=no_progress)  # the cache is brought up to date
    assert open_data(handle).speech.texts == texts
    shutil.rmtree(folder)
    assert "cannot be read any more" in reopen_data(handle, summary, no_progress)[1]


def test_a_cache_that_was_deleted_is_made_again(begun):
    _, handle, summary = begun
    shutil.rmtree(data_folder(handle).parent)
    again, changed = reopen_data(handle, summary, no_progress)
    assert changed == ""
    assert open_data(again).speech.fingerprint == summary["fingerprint"]


def test_a_lost_cache_of_speech_that_has_changed_is_never_mixed(begun):
    folder, handle, summary = begun
    shutil.rmtree(data_folder(handle).parent)
    write_clip(folder / "wavs/clip005.wav", 0.4, seed=99)
    with pytest.raises(SpeechError, match="has changed since it began"):
        reopen_data(handle, summary, no_progress)
    shutil.rmtree(folder)
    with pytest.raises(SpeechError, match="cannot be made again"):
        reopen_data(handle, summary, no_progress)
