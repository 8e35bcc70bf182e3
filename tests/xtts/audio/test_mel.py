"""The front end equals librosa's, and its inverse comes back to the same mel."""

import sys
import time

import librosa
import numpy as np
import pytest

from tests.xtts.made_speech import voiced
from xtts.audio import mel


def librosa_log_mel(samples):
    power = librosa.feature.melspectrogram(
        y=samples, sr=22_050, n_fft=1024, hop_length=256, n_mels=80, fmin=0, fmax=8000, power=1
    )
    return np.log(np.maximum(power, 1e-5)).T


def quiet_noise(seconds):
    return (1e-4 * np.random.default_rng(5).standard_normal(int(seconds * 22_050))).astype(np.float32)


@pytest.mark.parametrize(
    "samples",
    [
        voiced(1.3),
        quiet_noise(0.7),
        np.zeros(5000, np.float32),
        np.sin(np.arange(9999) * 0.3).astype(np.float32),
        np.concatenate([np.zeros(4000, np.float32), voiced(0.5), quiet_noise(0.2)]),
        np.eye(1, 1024, 500, dtype=np.float32)[0],
    ],
    ids=["voice", "quiet noise", "zeros", "tone", "voice between silences", "one click"],
)
def test_log_mel_equals_librosas_to_a_ten_thousandth(samples):
    ours = mel.log_mel(samples)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, librosa_log_mel(samples), atol=1e-4, rtol=0)


def test_filters_equal_librosas():
    theirs = librosa.filters.mel(sr=22_050, n_fft=1024, n_mels=80, fmin=0, fmax=8000)
    np.testing.assert_allclose(mel.mel_filters(), theirs, atol=1e-8, rtol=0)


@pytest.mark.parametrize("count", [1024, 1025, 1279, 1280, 5000])
def test_a_recording_has_one_frame_more_than_whole_hops(count):
    assert mel.log_mel(np.ones(count, np.float32)).shape == (1 + count // 256, 80)


def test_a_recording_of_one_patch_has_at_least_a_patch_of_frames():
    assert len(mel.log_mel(np.ones(mel.PATCH_FRAMES * mel.HOP, np.float32))) >= mel.PATCH_FRAMES


def test_audio_from_a_mel_has_that_mel_again():
    there = mel.log_mel(voiced(2.0))
    samples = mel.mel_to_audio(there)
    back = mel.log_mel(samples)
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    frames = min(len(there), len(back))
    assert abs(len(there) - len(back)) <= 1
    error = np.abs(there[:frames] - back[:frames]).mean() / there.std()
    assert error < 0.15


@pytest.mark.parametrize(
    "samples", [voiced(1.3), quiet_noise(0.7), np.zeros(1000, np.float32)], ids=["voice", "quiet noise", "zeros"]
)
def test_audio_from_a_mel_converges_as_librosas_griffin_lim_does(samples):
    there = mel.log_mel(samples)
    wanted = mel._magnitudes(there)
    theirs = librosa.griffinlim(wanted, n_iter=32, hop_length=256, win_length=1024, n_fft=1024, random_state=0)
    ours = mel.mel_to_audio(there)

    def distance(spoken):
        magnitude = np.abs(librosa.stft(spoken, n_fft=1024, hop_length=256))
        return np.linalg.norm(magnitude - wanted) / np.linalg.norm(wanted)

    assert len(ours) == len(theirs)
    assert distance(ours) == pytest.approx(distance(theirs), rel=1e-3)
    np.testing.assert_allclose(ours, theirs, atol=0.01 * np.abs(theirs).max(), rtol=0)


def test_speaking_needs_no_librosa(monkeypatch):
    monkeypatch.setitem(sys.modules, "librosa", None)
    assert np.isfinite(mel.mel_to_audio(mel.log_mel(voiced(0.3)))).all()


def test_audio_from_a_mel_is_the_same_every_time():
    there = mel.log_mel(voiced(0.5))
    np.testing.assert_array_equal(mel.mel_to_audio(there), mel.mel_to_audio(there))


def test_a_few_seconds_of_audio_take_under_two_seconds():
    there = mel.log_mel(voiced(4.0))
    mel.mel_to_audio(there[:50])
    started = time.process_time()
    mel.mel_to_audio(there)
    assert time.process_time() - started < 2.0
