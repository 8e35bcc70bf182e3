"""The pitch of a mel is the pitch of what was recorded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from xtts.audio.mel import FLOOR, HOP, MELS, SAMPLE_RATE, log_mel
from xtts.audio.pitch import HIGHEST_HZ, LOWEST_HZ, pitch_of_mel


def voice(hz: npt.ArrayLike, *, first_harmonic: int = 1, samples: int = SAMPLE_RATE) -> npt.NDArray[np.float32]:
    """Harmonics of a pitch [samples] or a constant one, up to 8 kHz, falling as 1 / n, over a little noise."""
    draw = np.random.default_rng(0)
    pitch = np.broadcast_to(np.asarray(hz, dtype=np.float64), samples)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    last = int(8000 / pitch.max())
    sound = sum(np.sin(n * phase + draw.uniform(0, 6)) / n for n in range(first_harmonic, last + 1))
    return np.asarray(0.1 * sound + 1e-4 * draw.standard_normal(samples), dtype=np.float32)


def cents(found: npt.NDArray[np.float64], true: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Absolute error; a frame without a pitch is infinitely wrong."""
    return np.asarray(1200 * np.abs(np.log2(np.where(found > 0, found, np.inf) / np.asarray(true))))


@pytest.mark.parametrize("hz", [78, 85, 100, 120, 150, 200, 250, 300, 400, 500, 580])
def test_a_steady_voice_is_heard_within_an_eighth_of_a_semitone(hz):
    found = pitch_of_mel(log_mel(voice(hz)))[3:-3]
    assert cents(found, hz).max() < 15.0


def test_a_gliding_voice_is_followed_frame_by_frame():
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    hz = 130.0 * 2.0 ** (0.4 * np.sin(2 * np.pi * time))
    found = pitch_of_mel(log_mel(voice(hz)))
    assert cents(found, hz[np.minimum(np.arange(len(found)) * HOP, len(hz) - 1)])[3:-3].max() < 35.0


def test_loudness_changes_nothing():
    samples = voice(160)
    np.testing.assert_allclose(pitch_of_mel(log_mel(samples)), pitch_of_mel(log_mel(0.1 * samples)), rtol=1e-2)


@pytest.mark.parametrize("hz", [110, 190])
def test_a_voice_without_its_fundamental_keeps_its_pitch(hz):
    found = pitch_of_mel(log_mel(voice(hz, first_harmonic=2)))[3:-3]
    assert np.mean(cents(found, hz) < 30.0) > 0.95


@pytest.mark.parametrize(
    "samples",
    [np.zeros(SAMPLE_RATE), 0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)],
    ids=["silence", "noise"],
)
def test_where_there_is_no_voice_there_is_no_pitch(samples):
    assert pitch_of_mel(log_mel(samples.astype(np.float32))).max() == 0.0


def test_noise_far_below_the_voice_has_no_pitch():
    hummed = np.concatenate([voice(150), 1e-3 * voice(150)])
    found = pitch_of_mel(log_mel(hummed))
    middle = SAMPLE_RATE // HOP
    assert (found[3 : middle - 3] > 0).all()
    assert (found[middle + 6 :] == 0).all()


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_the_shortest_clips_and_impossible_mels_are_judged_without_complaint(frames):
    draw = np.random.default_rng(frames)
    for level in (np.log(FLOOR) - 50.0, np.log(FLOOR), 0.0, 20.0):
        mel = (level + draw.standard_normal((frames, MELS))).astype(np.float32)
        found = pitch_of_mel(mel)
        assert found.shape == (frames,)
        assert (((found >= LOWEST_HZ) & (found <= HIGHEST_HZ)) | (found == 0)).all()
