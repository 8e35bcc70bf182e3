"""The demo speech is the same everywhere, enough to learn from, and made again when damaged."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import ROOT
from xtts.data.build_dataset import build_dataset
from xtts.data.text import has_letters, normalise
from xtts.errors import SpeechError
from xtts.prepare import demo_speech as demo
from xtts.prepare.demo_speech import demo_speech


def make_in_another_process(cache):
    program = "from xtts.prepare.demo_speech import demo_speech; print(demo_speech())"
    environment = os.environ | {"XTTS_SWEEP_CACHE": str(cache)}
    command = [sys.executable, "-c", program]
    return Path(
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout.strip()
    )


def contents(folder):
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_in_another_process(tmp_path_factory.mktemp("demo"))


def test_two_processes_make_the_same_bytes(folder, tmp_path):
    assert contents(make_in_another_process(tmp_path)) == contents(folder)


def test_it_takes_less_than_fifteen_seconds(tmp_path, monkeypatch):
    monkeypatch.setenv("XTTS_SWEEP_CACHE", str(tmp_path))
    started = time.monotonic()
    demo_speech()
    assert time.monotonic() - started < 15


def test_it_is_two_voices_two_languages_and_five_to_seven_minutes(folder):
    speech = build_dataset(folder)
    assert not speech.exclusions
    assert 300 < speech.figures.seconds.sum() < 420
    assert speech.speakers == ("daniel", "mina")
    for speaker in (0, 1):
        spoken = [text for text, who in zip(speech.texts, speech.speaker_index, strict=True) if who == speaker]
        persian = sum(not text.isascii() for text in spoken)
        assert 30 < persian < len(spoken) - 30
    assert speech.figures.seconds.min() > 1.0
    assert speech.figures.seconds.max() < 6.0
    assert speech.figures.clipped_share.max() == 0


def test_no_sentence_stands_twice():
    texts = [normalise(sentence.text) for sentence in demo._sentences()]
    assert len(set(texts)) == len(texts)
    assert all(has_letters(text) for text in texts)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: next((folder / "wavs").iterdir()).unlink(),
        lambda folder: (folder / "metadata.csv").write_text("changed"),
        lambda folder: os.truncate(next((folder / "wavs").iterdir()), 100),
        lambda folder: (folder / "manifest.json").write_text("{"),
        lambda folder: (folder / "manifest.json").unlink(),
    ],
)
def test_a_damaged_copy_is_made_again(folder, monkeypatch, damage):
    monkeypatch.setenv("XTTS_SWEEP_CACHE", str(folder.parent))
    whole = contents(folder)
    damage(folder)
    assert contents(folder) != whole
    assert demo_speech() == folder
    assert contents(folder) == whole


def test_a_copy_that_is_there_needs_no_voice(folder, monkeypatch):
    monkeypatch.setenv("XTTS_SWEEP_CACHE", str(folder.parent))
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    assert demo_speech() == folder


def test_without_espeak_the_extra_to_install_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XTTS_SWEEP_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(SpeechError, match=r"pip install xtts-sweep\[demo\]"):
        demo_speech()
    assert not [file for file in tmp_path.iterdir() if file.is_dir()]


def test_a_voice_that_fails_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("XTTS_SWEEP_CACHE", str(tmp_path))
    monkeypatch.setattr(demo, "_LANGUAGES", {"en": "no-such-voice"})
    with pytest.raises(SpeechError, match="no voice no-such-voice") as caught:
        demo_speech()
    assert "\n" not in str(caught.value)


def test_a_deep_installation_folder_is_no_matter(tmp_path, monkeypatch):
    import espeakng_loader

    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    (deep / "espeak-ng-data").symlink_to(espeakng_loader.get_data_path())
    monkeypatch.setenv("XTTS_SWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(deep / "espeak-ng-data"))
    assert (demo_speech() / "metadata.csv").is_file()
