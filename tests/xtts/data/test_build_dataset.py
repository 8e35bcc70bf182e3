"""A folder of speech becomes features, tokens, speakers and splits that belong together."""

import os
from collections import Counter

import numpy as np
import pytest
import soundfile

from tests.xtts.data.preparing import complaint, reasons
from tests.xtts.made_speech import texts, write_clip, write_ljspeech, write_metadata
from xtts.audio.mel import log_mel
from xtts.data.build_dataset import build_dataset
from xtts.data.dataset import Dataset
from xtts.data.splits import TEST, TRAIN, VALIDATION


def test_every_clip_has_its_own_features_tokens_and_recording(data):
    speech = build_dataset(data)
    assert speech.ids == tuple(f"clip{n:03d}" for n in range(20))
    for clip in range(20):
        samples, _ = soundfile.read(speech.audio_path(clip), dtype="float32")
        np.testing.assert_array_equal(speech.clip_mel(clip), log_mel(samples))
        assert speech.clip_tokens(clip).tolist() == speech.vocabulary.encode(texts(20)[clip])
    assert speech.mel.dtype == np.float32
    assert isinstance(speech.mel, np.memmap)


def test_mean_and_deviation_are_over_all_values_of_the_training_split(data):
    speech = build_dataset(data)
    heard = np.concatenate([speech.clip_mel(clip) for clip in speech.indices(TRAIN)]).astype(np.float64)
    assert speech.mel_mean == pytest.approx(heard.mean(), abs=1e-9)
    assert speech.mel_sd == pytest.approx(heard.std(), abs=1e-9)


def test_equal_texts_stand_on_one_side_only(tmp_path):
    folder = write_ljspeech(tmp_path / "data", 30)
    write_metadata(folder, [f"clip{n:03d}|{['', 'SAY ', 'say  '][n % 3]}text number {n // 2}" for n in range(30)])
    speech = build_dataset(folder)
    sides = {}
    for text, side in zip(speech.texts, speech.split, strict=True):
        assert sides.setdefault(text, side) == side
    assert set(speech.split) == {TRAIN, VALIDATION, TEST}


def test_a_worker_opens_what_was_prepared(data):
    speech = build_dataset(data)
    opened = Dataset.open(speech.folder)
    assert (opened.fingerprint, opened.ids, opened.vocabulary) == (speech.fingerprint, speech.ids, speech.vocabulary)
    np.testing.assert_array_equal(opened.clip_mel(3), speech.clip_mel(3))
    assert (opened.exclusions, opened.speakers) == (speech.exclusions, speech.speakers)


def test_a_folder_whose_name_is_not_utf8_is_no_matter(tmp_path):
    folder = write_ljspeech(tmp_path / "data").rename(tmp_path / os.fsdecode(b"caf\xe9"))
    (folder / "wavs/clip003.wav").write_bytes(b"")
    for _ in range(2):
        speech = build_dataset(folder)
        assert len(speech) == 19
        assert speech.audio_path(0).is_file()


def test_speakers_of_a_coqui_folder_are_named(tmp_path):
    for n in range(12):
        write_clip(tmp_path / f"sound/{n}.flac", seed=n)
    rows = [f"sound/{n}.flac|{text}|{['zoe', 'ann'][n % 2]}" for n, text in enumerate(texts(12))]
    write_metadata(tmp_path, ["audio_file|text|speaker_name", *rows])
    speech = build_dataset(tmp_path)
    assert speech.speakers == ("ann", "zoe")
    for clip, id in enumerate(speech.ids):
        assert speech.speakers[speech.speaker_index[clip]] == ["zoe", "ann"][int(id.removeprefix("sound/")) % 2]


def test_a_given_eval_set_is_split_and_its_texts_leave_the_training_set(tmp_path):
    train = write_ljspeech(tmp_path / "train", 20, metadata="metadata_train.csv")
    held_out = write_ljspeech(tmp_path / "eval", 6, name="eval", metadata="metadata_eval.csv")
    write_metadata(
        held_out, [f"eval{n:03d}|other text {n}" for n in range(5)] + [f"eval005|{texts(20)[7]}"], "metadata_eval.csv"
    )
    speech = build_dataset(train, held_out)
    sides = {id: int(side) for id, side in zip(speech.ids, speech.split, strict=True)}
    assert Counter(sides[f"eval/eval{n:03d}"] for n in range(6)) == {VALIDATION: 3, TEST: 3}
    assert all(side == TRAIN for id, side in sides.items() if not id.startswith("eval/"))
    # One shares its text with the eval set, others the very recording.
    assert reasons(speech)["clip007"] == "in_eval"
    assert set(reasons(speech).values()) == {"in_eval"}


def test_an_eval_set_with_every_training_text_leaves_nothing_to_train_on(tmp_path):
    train = write_ljspeech(tmp_path / "train", 12)
    assert "nothing is left to train on" in complaint(train, write_ljspeech(tmp_path / "eval", 12))


@pytest.mark.parametrize("count", [1, 9])
def test_too_few_texts_to_split_are_refused_with_the_number_needed(tmp_path, count):
    assert "at least 10" in complaint(write_ljspeech(tmp_path / "data", count))


def test_too_few_eval_texts_are_refused_with_the_number_needed(tmp_path):
    train = write_ljspeech(tmp_path / "train", 12)
    held_out = write_ljspeech(tmp_path / "eval", 2)
    write_metadata(held_out, ["clip000|never said", "clip001|nor this"])
    message = complaint(train, held_out)
    assert "at least 4" in message
    assert str(held_out) in message


def test_the_fingerprint_does_not_depend_on_where_the_data_lies(data, tmp_path):
    before = build_dataset(data).fingerprint
    data.rename(tmp_path / "moved")
    assert build_dataset(tmp_path / "moved").fingerprint == before


def test_the_fingerprint_depends_on_recordings_texts_speakers_and_split(data, monkeypatch):
    seen = {build_dataset(data).fingerprint}
    with monkeypatch.context() as patch:
        patch.setattr("xtts.data.build_dataset.SPLIT_SEED", 1)
        seen.add(build_dataset(data).fingerprint)
    write_clip(data / "wavs/clip003.wav", 0.5, seed=99)
    seen.add(build_dataset(data).fingerprint)
    lines = (data / "metadata.csv").read_text().splitlines()
    write_metadata(data, [lines[0] + " indeed", *lines[1:]])
    seen.add(build_dataset(data).fingerprint)
    (data / "wavs/clip000.wav").rename(data / "wavs/LJ001-0000.wav")
    write_metadata(data, ["LJ001-0000|" + lines[0].split("|")[1] + " indeed", *lines[1:]])
    seen.add(build_dataset(data).fingerprint)
    assert len(seen) == 5
