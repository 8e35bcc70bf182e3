"""A model that has learned to speak says texts it never heard, from one folder, the same every time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.xtts.conftest import MINI, Learnable
from xtts.audio.mel import MELS, PATCH_FRAMES, SAMPLE_RATE
from xtts.data.splits import TRAIN, VALIDATION
from xtts.errors import SpeechError
from xtts.inference.samples import sample_clips, spoken_part, write_real_samples, write_samples, write_wav
from xtts.inference.synthesis import Speaker

TEXT = "abo mig"


@pytest.fixture(scope="module")
def speaker(talker) -> Speaker:
    return talker[1].speaker()


@pytest.fixture(scope="module")
def saved(speaker, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("best")
    speaker.save(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(saved, tmp_path / "best"))


def distance_along_best_path(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference along the best warping path (DTW) of two mels [frames, mels]."""
    cost = np.abs(one[:, None] - other[None]).mean(-1)
    total = np.full((len(one) + 1, len(other) + 1), np.inf)
    length = np.zeros_like(total)
    total[0, 0] = 0.0
    for row in range(len(one)):
        for column in range(len(other)):
            ways = ((row, column), (row, column + 1), (row + 1, column))
            best = min(ways, key=lambda way: total[way])
            total[row + 1, column + 1] = total[best] + cost[row, column]
            length[row + 1, column + 1] = length[best] + 1
    return float(total[-1, -1] / length[-1, -1])


def test_what_is_said_is_nearer_to_its_own_recording_than_to_another_of_that_length(talker, speaker):
    speech = talker[0].aligned.speech
    held_out = np.flatnonzero(speech.split != TRAIN)
    closer = []
    for clip in held_out:
        others = [other for other in held_out if speech.texts[other] != speech.texts[clip]]
        same_voice = [other for other in others if speech.speaker_index[other] == speech.speaker_index[clip]]
        wrong = min(same_voice, key=lambda other: abs(int(speech.frames[other]) - int(speech.frames[clip])))
        said = speaker.mel(speech.texts[clip], speech.speakers[speech.speaker_index[clip]])
        own, other = (distance_along_best_path(said, speech.clip_mel(int(one))) for one in (clip, wrong))
        closer.append(other - own)
    difference = np.array(closer)
    error = difference.std(ddof=1) / len(difference) ** 0.5
    assert difference.mean() - 2.1 * error > 0.0
    assert (difference > 0).mean() > 0.7


def test_speech_is_in_the_units_of_the_recordings(talker, speaker):
    """Un-normalised ln-mel, whatever a trial saw."""
    speech = talker[0].aligned.speech
    mel = speaker.mel(TEXT)
    assert mel.dtype == np.float32
    assert mel.shape[1] == MELS
    assert len(mel) % PATCH_FRAMES == 0
    assert mel.mean() == pytest.approx(speech.mel_mean, abs=1.0)
    assert mel.std() == pytest.approx(speech.mel_sd, rel=0.7)


def test_a_trial_on_unnormalised_mel_speaks_in_the_same_units(talker, tmp_path):
    speech, _ = talker
    speaker = speech.trainer(mel_normalisation="none").speaker()
    assert (speaker.mel_mean, speaker.mel_sd) == (0.0, 1.0)
    speaker.save(tmp_path)
    np.testing.assert_array_equal(Speaker.load(tmp_path).mel(TEXT), speaker.mel(TEXT))


def test_a_saved_voice_says_exactly_the_same(speaker, saved):
    loaded = Speaker.load(saved)
    for voice in (None, "high", "low"):
        np.testing.assert_array_equal(loaded.mel(TEXT, voice), speaker.mel(TEXT, voice))
    assert (loaded.mel_mean, loaded.mel_sd, loaded.shape) == (speaker.mel_mean, speaker.mel_sd, speaker.shape)
    assert loaded.vocabulary == speaker.vocabulary


def test_saying_a_text_again_gives_the_same_samples(speaker):
    first, again = speaker.say(TEXT), speaker.say(TEXT)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first).max() <= 1.0
    assert np.abs(first).max() > 0.01
    mel = speaker.mel(TEXT)
    assert len(first) == pytest.approx(len(mel) * 256, abs=256)


def test_voices_and_texts_differ(speaker):
    low, high = speaker.mel(TEXT, "low"), speaker.mel(TEXT, "high")
    assert low.shape != high.shape or np.abs(low - high).mean() > 0.05
    assert speaker.voices.names == ("high", "low")
    np.testing.assert_array_equal(speaker.mel(TEXT), high)
    other = speaker.mel("gil bed")
    count = min(len(other), len(high))
    assert np.abs(other[:count] - high[:count]).mean() > 0.2


def test_a_text_is_read_as_the_data_is(speaker):
    """Capitals and characters that nobody spoke do not matter."""
    np.testing.assert_array_equal(speaker.mel("  ABO, mig!™ "), speaker.mel(TEXT))


def test_longer_texts_take_longer(speaker):
    lengths = [len(speaker.mel(" ".join(["abo"] * words))) for words in (1, 3, 9)]
    assert lengths[0] < lengths[1] < lengths[2]


def test_speaking_draws_no_random_numbers(speaker):
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    speaker.mel(TEXT)
    assert torch.equal(torch.rand(2), expected)


def complaint(of, *args) -> str:
    with pytest.raises(SpeechError) as caught:
        of(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_voice_is_refused_with_those_there_are(speaker):
    assert complaint(speaker.mel, TEXT, "bass") == "voice 'bass': expected one of high, low"


@pytest.mark.parametrize("text", ["", "   ", "???", "قصه", "7"])
def test_a_text_without_a_known_character_is_refused(speaker, text):
    assert repr(text) in complaint(speaker.mel, text)


def test_a_text_that_is_too_long_is_refused(speaker):
    assert "at most" in complaint(speaker.mel, "abo " * 200)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("short.", "short."),
        ("one sentence. " * 40, ("one sentence. " * 28).strip()),
        ("word " * 100, ("word " * 79).strip()),
        ("x" * 500, "x" * 398),
    ],
)
def test_a_sample_of_a_long_text_is_cut_at_a_sentence_or_a_word(text, wanted):
    assert spoken_part(text.strip()) == wanted


def rewrite(folder: Path, **changed) -> None:
    file = folder / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def without(folder: Path, name: str) -> None:
    file = folder / "model.json"
    about = json.loads(file.read_text())
    del about[name]
    file.write_text(json.dumps(about))


SHAPE = vars(MINI)
DAMAGE = {
    "no folder": shutil.rmtree,
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "no description": lambda folder: (folder / "model.json").unlink(),
    "weights cut short": lambda folder: cut_short(folder / "model.safetensors"),
    "weights empty": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "weights that are none": lambda folder: (folder / "model.safetensors").write_text("weights"),
    "description cut short": lambda folder: cut_short(folder / "model.json"),
    "description is a list": lambda folder: (folder / "model.json").write_text("[1, 2]"),
    "description not UTF-8": lambda folder: (folder / "model.json").write_bytes(b"\xff\xfe{}"),
    "no vocabulary": lambda folder: without(folder, "vocabulary"),
    "no shape": lambda folder: without(folder, "shape"),
    "vocabulary of numbers": lambda folder: rewrite(folder, vocabulary=[1, 2, 3]),
    "vocabulary one symbol short": lambda folder: rewrite(folder, vocabulary=[" ", "a"]),
    "shape of another model": lambda folder: rewrite(folder, shape=SHAPE | {"width": 64}),
    "shape of more layers": lambda folder: rewrite(folder, shape=SHAPE | {"layers": 2}),
    "shape without heads": lambda folder: rewrite(folder, shape=SHAPE | {"heads": 0}),
    "shape of words": lambda folder: rewrite(folder, shape=SHAPE | {"width": "wide"}),
    "more voices": lambda folder: rewrite(folder, voices=["high", "low", "third"]),
    "voices are a number": lambda folder: rewrite(folder, voices=2),
    "mean is a word": lambda folder: rewrite(folder, mel_mean="loud"),
    "mean is missing": lambda folder: rewrite(folder, mel_mean=None),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_one_line(folder, damage):
    DAMAGE[damage](folder)
    assert str(folder) in complaint(Speaker.load, folder)


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "best").write_text("nothing")
    assert str(tmp_path / "best") in complaint(Speaker.load, tmp_path / "best")


def test_a_double_precision_trial_speaks_and_is_saved_as_it_is(learnable: Learnable, tmp_path):
    speaker = learnable.trainer(precision="float64").speaker()
    speaker.save(tmp_path)
    loaded = Speaker.load(tmp_path)
    assert next(loaded.model.parameters()).dtype == torch.float64
    np.testing.assert_array_equal(loaded.mel(TEXT), speaker.mel(TEXT))


def test_a_trial_exports_what_speaks_and_samples_to_listen_to(talker, tmp_path):
    speech, trainer = talker
    trainer.export_best(tmp_path)
    np.testing.assert_array_equal(Speaker.load(tmp_path).mel(TEXT), trainer.speaker().mel(TEXT))
    for number in (1, 2, 3):
        for kind in ("said", "real"):
            info = soundfile.info(tmp_path / "samples" / f"{number}.{kind}.wav")
            assert (info.samplerate, info.channels, info.subtype) == (SAMPLE_RATE, 1, "PCM_16")
            assert 0.2 < info.duration < 5.0
        name, text = (tmp_path / "samples" / f"{number}.txt").read_text("utf-8").strip().split("|")
        assert text == speech.truth[name.removeprefix("wavs/")].text
    assert not list((tmp_path / "samples").glob(".*"))


def test_samples_are_validation_clips_of_several_speakers(talker):
    speech = talker[0].aligned.speech
    chosen = sample_clips(talker[0].aligned)
    assert len(set(chosen)) == 3
    assert all(speech.split[clip] == VALIDATION for clip in chosen)
    assert {int(speech.speaker_index[clip]) for clip in chosen[:2]} == {0, 1}


def test_samples_may_be_written_over(talker, speaker, tmp_path):
    for _ in range(2):
        write_samples(speaker, talker[0].aligned, tmp_path)
        write_real_samples(talker[0].aligned, tmp_path)
    assert len(list(tmp_path.iterdir())) == 9


def test_a_sound_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "out.wav").mkdir()
    with pytest.raises(OSError, match=r"out\.wav"):
        write_wav(tmp_path / "out.wav", np.zeros(100, np.float32))
    with pytest.raises(OSError, match="nowhere"):
        write_wav(tmp_path / "nowhere" / "out.wav", np.zeros(100, np.float32))
    assert [file.name for file in tmp_path.iterdir()] == ["out.wav"]
