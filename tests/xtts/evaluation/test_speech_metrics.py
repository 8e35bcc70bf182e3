"""Errors between two mels that say the same: 0 for the same, in the units they claim, larger the further apart."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.xtts.audio.test_pitch import voice
from xtts.audio.mel import FLOOR, MELS, log_mel
from xtts.evaluation.speech_metrics import CEPSTRA, MeanInterval, aligned_frames, likeness, mel_cepstra


@pytest.fixture
def clip() -> np.ndarray:
    """A voice gliding up, then silence."""
    time = np.arange(22_050) / 22_050
    return log_mel(np.concatenate([voice(120 + 60 * time), np.zeros(4_000, np.float32)]))


def test_a_clip_is_exactly_like_itself(clip):
    assert astuple(likeness(clip, clip.copy())) == (0.0, 0.0, 0.0, 0.0)


def test_every_recording_is_nearer_to_itself_than_to_another_text(learnable):
    speech = learnable.aligned.speech
    for one in range(0, len(speech), 5):
        others = [other for other in range(len(speech)) if speech.texts[other] != speech.texts[one]][:4]
        assert likeness(speech.clip_mel(one), speech.clip_mel(one)).mcd_db == 0.0
        assert min(likeness(speech.clip_mel(one), speech.clip_mel(other)).mcd_db for other in others) > 2.0


@pytest.mark.parametrize("cepstrum", [1, 7, CEPSTRA])
def test_a_ripple_over_the_bands_is_its_root_mean_square_in_decibels(cepstrum):
    """An amplitude a in ln is 20 / ln 10 * a in dB; a cosine's root mean square is 1 / sqrt 2 of it."""
    flat = np.full((30, MELS), -4.0, dtype=np.float32)
    ripple = 0.5 * np.cos(np.pi * cepstrum * (np.arange(MELS) + 0.5) / MELS)
    expected = 20 / math.log(10) * 0.5 / math.sqrt(2)
    assert likeness(flat + ripple.astype(np.float32), flat).mcd_db == pytest.approx(expected, rel=1e-5)


def test_ripples_finer_than_13_cepstra_are_not_heard():
    flat = np.full((30, MELS), -4.0, dtype=np.float32)
    ripple = np.cos(np.pi * (CEPSTRA + 1) * (np.arange(MELS) + 0.5) / MELS).astype(np.float32)
    assert likeness(flat + ripple, flat).mcd_db == pytest.approx(0.0, abs=1e-5)


def test_loudness_is_left_out(clip):
    loud = np.full_like(clip, -3.0) + np.linspace(-1, 1, MELS, dtype=np.float32)
    assert likeness(loud + np.float32(1.5), loud).mcd_db == pytest.approx(0.0, abs=1e-5)


def test_below_the_floor_there_is_only_silence():
    silence = np.full((20, MELS), math.log(FLOOR), dtype=np.float32)
    deeper = silence - np.linspace(0, 9, MELS, dtype=np.float32)
    np.testing.assert_allclose(mel_cepstra(deeper), mel_cepstra(silence), atol=1e-6)


def test_speaking_half_as_fast_is_no_distortion_but_a_duration_error(clip):
    slow = np.repeat(clip, 2, axis=0)
    found = likeness(slow, clip)
    assert found.mcd_db == 0.0
    assert found.duration_error == 1.0
    assert likeness(clip, slow).duration_error == 0.5


def test_more_noise_is_more_distortion(clip):
    noise = np.random.default_rng(0).standard_normal(clip.shape).astype(np.float32)
    found = [likeness(np.maximum(clip + level * noise, math.log(FLOOR)), clip).mcd_db for level in (0, 0.1, 0.3, 1.0)]
    assert found == sorted(found)
    assert found[1] > 0.0


@pytest.mark.parametrize("semitones", [-3, 1, 2])
def test_the_pitch_error_is_the_interval_between_two_voices(semitones):
    one, other = log_mel(voice(180)), log_mel(voice(180 * 2 ** (semitones / 12)))
    found = likeness(other, one)
    assert found.f0_cents == pytest.approx(100 * abs(semitones), abs=15)
    assert found.voicing_error < 0.05


def test_without_voice_there_is_a_voicing_error_and_no_pitch_error():
    whispered = log_mel(0.05 * np.random.default_rng(0).standard_normal(22_050).astype(np.float32))
    found = likeness(whispered, log_mel(voice(180)))
    assert found.f0_cents is None
    assert found.voicing_error > 0.9


def test_the_alignment_is_the_cheapest_there_is():
    """Against the plain recursion over a small pair."""
    draw = np.random.default_rng(0)
    said, real = draw.standard_normal((7, 3)), draw.standard_normal((9, 3))
    cost = np.linalg.norm(said[:, None] - real[None], axis=-1)
    best = np.full((8, 10), np.inf)
    best[0, 0] = 0.0
    for row in range(7):
        for column in range(9):
            best[row + 1, column + 1] = cost[row, column] + min(best[row : row + 2, column : column + 2].flat[:3])
    here, there, distance = aligned_frames(said, real)
    assert distance.sum() == pytest.approx(best[7, 9])
    assert (here[0], there[0], here[-1], there[-1]) == (0, 0, 6, 8)
    assert set(zip(np.diff(here), np.diff(there), strict=True)) <= {(0, 1), (1, 0), (1, 1)}


@pytest.mark.parametrize(("spoken", "real"), [(1, 1), (1, 9), (9, 1), (40, 40), (60, 31)])
def test_the_alignment_is_that_of_librosa(spoken, real):
    from librosa.sequence import dtw
    from scipy.spatial.distance import cdist

    rng = np.random.default_rng(spoken + real)
    one, other = rng.integers(0, 3, (spoken, CEPSTRA)) / 2.0, rng.integers(0, 3, (real, CEPSTRA)) / 2.0
    here, there, _ = aligned_frames(one, other)
    _, path = dtw(C=cdist(one, other))
    assert np.stack([here, there], axis=1).tolist() == path[::-1].tolist()


@given(st.lists(st.floats(0, 1e3) | st.none(), max_size=40))
@settings(max_examples=50, deadline=None)
def test_an_interval_holds_its_mean_and_counts_what_is_there(values):
    known = [value for value in values if value is not None]
    found = MeanInterval.of(values)
    assert found == MeanInterval.of(values)
    assert found.clips == len(known)
    if not known:
        assert found.mean is None
    else:
        assert found.mean == pytest.approx(np.mean(known))
    if len(known) >= 2:
        tolerance = 1e-9 * max(known)
        assert min(known) - tolerance <= found.low <= found.high <= max(known) + tolerance


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    draw = np.random.default_rng(0)
    found = [MeanInterval.of(draw.gamma(4.0, 0.25, 40).tolist()) for _ in range(300)]
    assert 0.90 <= np.mean([one.low <= 1.0 <= one.high for one in found]) <= 0.98
