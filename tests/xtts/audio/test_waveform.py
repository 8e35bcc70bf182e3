"""Recordings of any kind become the same samples, and bad ones a reason."""

import os
import struct
import wave
from io import BytesIO

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.xtts.made_speech import voiced
from xtts.audio.waveform import Recording, Unusable, decode, read_bytes, silence_around


def encoded(samples, rate=22_050, form="WAV", subtype="PCM_16"):
    file = BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def reason(content):
    result = decode(content)
    return result.reason if isinstance(result, Unusable) else "usable"


@pytest.mark.parametrize(
    ("form", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 1e-2),
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 1e-7),
        ("WAV", "DOUBLE", 1e-7),
        ("WAVEX", "PCM_16", 1e-4),
        ("RF64", "PCM_16", 1e-4),
        ("FLAC", "PCM_S8", 1e-2),
        ("FLAC", "PCM_16", 1e-4),
        ("FLAC", "PCM_24", 1e-6),
    ],
)
def test_any_depth_of_wav_and_flac_is_read(form, subtype, tolerance):
    recording = decode(encoded(voiced(0.5), form=form, subtype=subtype))
    assert isinstance(recording, Recording)
    np.testing.assert_allclose(recording.samples, voiced(0.5), atol=tolerance)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000, 96_000])
def test_any_rate_becomes_22050(rate):
    recording = decode(encoded(0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate), rate))
    assert isinstance(recording, Recording)
    assert recording.sample_rate == rate
    assert len(recording.samples) == 22_050
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)
    np.testing.assert_allclose(recording.samples[500:-500], wanted[500:-500], atol=2e-3)


@pytest.mark.parametrize("channels", [2, 3, 6])
@pytest.mark.parametrize("form", ["WAV", "FLAC"])
def test_channels_are_averaged(channels, form):
    sides = np.stack([voiced(0.4, seed=channel) for channel in range(channels)], axis=1)
    recording = decode(encoded(sides, form=form))
    assert isinstance(recording, Recording)
    assert recording.channels == channels
    np.testing.assert_allclose(recording.samples, sides.mean(axis=1), atol=1e-4)


def test_the_fast_way_for_16_bit_wavs_reads_what_libsndfile_reads():
    content = encoded(np.stack([voiced(0.4), voiced(0.4, seed=1)], axis=1))
    fast = decode(content)
    assert isinstance(fast, Recording)
    np.testing.assert_array_equal(fast.samples, soundfile.read(BytesIO(content), dtype="float32")[0].mean(axis=1))


def test_chunks_between_header_and_samples_are_passed_over():
    content = encoded(voiced(0.3))
    chunk = b"LIST" + struct.pack("<I", 5) + b"abcde\0"
    with_chunk = content[:12] + content[12:36] + chunk + content[36:]
    plain, passed = decode(content), decode(with_chunk)
    assert isinstance(plain, Recording)
    assert isinstance(passed, Recording)
    np.testing.assert_array_equal(plain.samples, passed.samples)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x80000000, 0x7FFFFFFF, 0xFFFFFFD3, 0])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_a_streamed_wav_of_unknown_length_is_read_to_its_end(size, subtype):
    content = encoded(voiced(0.3), subtype=subtype)
    at = content.index(b"data") + 4
    streamed = decode(content[:at] + struct.pack("<I", size) + content[at + 4 :])
    assert isinstance(streamed, Recording)
    np.testing.assert_array_equal(streamed.samples, decode(content).samples)


def test_an_empty_file_is_empty():
    assert reason(b"") == "empty"


@pytest.mark.parametrize("form", ["WAV", "FLAC"])
def test_a_file_without_samples_is_empty(form):
    assert reason(encoded(np.zeros(0), form=form)) == "empty"


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.99])
def test_a_wav_that_is_shorter_than_its_header_says_is_truncated(subtype, kept):
    content = encoded(voiced(1.0), subtype=subtype)
    assert reason(content[: int(kept * len(content))]) == "truncated"


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9])
def test_a_flac_that_stops_early_is_truncated(kept):
    content = encoded(voiced(2.0), form="FLAC")
    assert reason(content[: int(kept * len(content))]) == "truncated"


@pytest.mark.parametrize("content", [b"hello", b"RIFF", b"RIFF\x10\0\0\0WAVE", b"fLaC", os.urandom(4000), b"\0" * 4000])
def test_what_is_not_audio_is_said_to_be(content):
    assert reason(content) == "not_audio"


def test_a_header_of_an_impossible_format_is_not_audio():
    content = bytearray(encoded(voiced(0.3)))
    struct.pack_into("<I", content, 24, 3)
    assert reason(bytes(content)) == "not_audio"
    struct.pack_into("<IH", content, 24, 22_050, 0)
    struct.pack_into("<H", content, 22, 0)
    assert reason(bytes(content)) == "not_audio"


@pytest.mark.parametrize("level", [0.0, 1e-4, 9e-4])
def test_a_recording_without_a_loud_moment_is_silent(level):
    noise = level * np.random.default_rng(0).uniform(-1, 1, 22_050)
    assert reason(encoded(noise, subtype="FLOAT")) == "silent"


def test_a_constant_offset_is_no_sound():
    assert reason(encoded(np.full(22_050, 0.3))) == "silent"


def test_a_constant_offset_hides_no_silence_and_is_taken_out():
    sound = 0.5 * np.concatenate([np.zeros(22_050), voiced(1.0), np.zeros(11_025)])
    recording = decode(encoded(sound + 0.2))
    assert isinstance(recording, Recording)
    assert recording.offset == pytest.approx(0.2, abs=0.01)
    assert abs(recording.samples.mean()) < 1e-3
    before, after, level = silence_around(recording.samples)
    assert (before, after) == (pytest.approx(1.0, abs=0.03), pytest.approx(0.5, abs=0.03))
    assert level == pytest.approx(silence_around(sound.astype(np.float32))[2], abs=0.5)


def test_channels_that_cancel_each_other_are_not_called_silent():
    sound = voiced(0.5)
    result = decode(encoded(np.stack([sound, -sound], axis=1)))
    assert isinstance(result, Unusable)
    assert result.reason == "cancelled"
    assert "save one of them" in result.detail


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"nothing of the kind" * 20, "Format not recognised"),
    ],
)
def test_what_cannot_be_decoded_is_named_without_python_objects(content, wanted):
    result = decode(content)
    assert isinstance(result, Unusable)
    assert wanted in result.detail
    assert "object at 0x" not in result.detail


def test_a_quiet_voice_is_not_silent():
    assert reason(encoded(0.02 * voiced(0.5))) == "usable"


@pytest.mark.parametrize(("samples", "wanted"), [(1023, "too_short"), (1024, "usable")])
def test_a_recording_holds_at_least_a_patch(samples, wanted):
    assert reason(encoded(voiced(1.0)[2000 : 2000 + samples])) == wanted


@pytest.mark.parametrize("form", ["WAV", "FLAC"])
@pytest.mark.parametrize(("seconds", "wanted"), [(29.9, "usable"), (30.1, "too_long")])
def test_a_recording_lasts_thirty_seconds_at_most(form, seconds, wanted):
    assert reason(encoded(voiced(seconds, 8_000), 8_000, form=form)) == wanted


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_found(value):
    samples = voiced(0.5)
    samples[7000] = value
    assert reason(encoded(samples, subtype="FLOAT")) == "not_finite"


def test_float_samples_that_were_never_scaled_are_found():
    assert reason(encoded(32_768 * voiced(0.5), subtype="FLOAT")) == "out_of_range"


def test_clipping_is_measured_on_the_files_own_samples():
    recording = decode(encoded(np.clip(20 * voiced(0.5, 48_000), -1, 1), 48_000))
    assert isinstance(recording, Recording)
    assert recording.peak > 0.999
    assert 0.05 < recording.clipped_share < 1.0


def test_silence_around_the_speech_is_measured():
    quiet = np.zeros(22_050 // 2, np.float32)
    before, after, level = silence_around(np.concatenate([quiet, voiced(1.0), quiet, quiet]))
    assert before == pytest.approx(0.5, abs=0.03)
    assert after == pytest.approx(1.0, abs=0.03)
    assert -25 < level < -3


def test_missing_files_folders_and_pipes_are_reasons(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    for name, wanted in (("none.wav", "missing"), ("folder.wav", "not_audio"), ("pipe.wav", "not_audio")):
        result = read_bytes(tmp_path / name)
        assert isinstance(result, Unusable)
        assert result.reason == wanted


def test_a_file_larger_than_any_clip_is_not_read(tmp_path):
    with (tmp_path / "huge.wav").open("wb") as file:
        file.truncate(2**40)
    result = read_bytes(tmp_path / "huge.wav")
    assert isinstance(result, Unusable)
    assert result.reason == "too_long"


def test_a_wav_by_pythons_own_writer_is_read(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22_050)
        file.writeframes((32_767 * voiced(0.3)).astype("<i2").tobytes())
    assert reason((tmp_path / "a.wav").read_bytes()) == "usable"


SMALL = {
    "wav": encoded(voiced(0.1)),
    "wav of floats": encoded(voiced(0.1), subtype="FLOAT"),
    "flac": encoded(voiced(0.1), form="FLAC"),
}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(sorted(SMALL)),
    changes=st.lists(st.tuples(st.integers(0, 120), st.binary(min_size=1, max_size=8)), max_size=4),
    kept=st.integers(0, 5000),
)
@example(kind="wav", changes=[(40, b"\xff\xff\xff\x7f")], kept=5000)
@example(kind="wav", changes=[(16, b"\xff\xff\xff\xff")], kept=5000)
@example(kind="flac", changes=[(18, b"\xff\xff\xff\xff\xff\xff\xff\xff")], kept=5000)
@example(kind="wav of floats", changes=[(22, b"\xff\xff")], kept=5000)
def test_damaged_headers_never_raise(kind, changes, kept):
    content = bytearray(SMALL[kind])
    for at, change in changes:
        content[at : at + len(change)] = change
    result = decode(bytes(content[:kept]))
    if isinstance(result, Recording):
        assert np.isfinite(result.samples).all()
        assert 1024 <= len(result.samples) <= 22_050 * 31
    else:
        assert result.detail
        assert "\n" not in result.detail
