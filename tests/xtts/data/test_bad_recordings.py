"""What is bad in a folder of speech is left out, counted and listed, or refused in one line."""

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.xtts.data.preparing import complaint, reasons
from tests.xtts.made_speech import voiced, write_clip, write_ljspeech, write_metadata
from xtts.data.build_dataset import build_dataset
from xtts.data.usable_clips import suspicious_rate
from xtts.errors import SpeechError


def spoil(data):
    """Ruin recordings 0 to 10 of the folder, each in a way of its own."""
    wavs = data / "wavs"
    (wavs / "clip000.wav").unlink()
    (wavs / "clip001.wav").write_bytes(b"")
    content = (wavs / "clip002.wav").read_bytes()
    (wavs / "clip002.wav").write_bytes(content[: len(content) // 2])
    (wavs / "clip003.wav").write_bytes(b"not a recording at all" * 100)
    soundfile.write(wavs / "clip004.wav", np.zeros(22_050), 22_050)
    soundfile.write(wavs / "clip005.wav", voiced(0.04), 22_050)
    soundfile.write(wavs / "clip006.wav", voiced(16.0), 22_050)
    soundfile.write(wavs / "clip007.wav", voiced(31.0), 22_050)
    soundfile.write(wavs / "clip008.wav", np.full(9000, np.nan), 22_050, subtype="FLOAT")
    soundfile.write(wavs / "clip009.wav", 20_000 * voiced(0.3), 22_050, subtype="FLOAT")
    (wavs / "clip010.wav").unlink()
    (wavs / "clip010.wav").mkdir()
    return {
        "clip000": "missing",
        "clip001": "empty",
        "clip002": "truncated",
        "clip003": "not_audio",
        "clip004": "silent",
        "clip005": "too_short",
        "clip006": "far_longer",
        "clip007": "too_long",
        "clip008": "not_finite",
        "clip009": "out_of_range",
        "clip010": "not_audio",
    }


def test_bad_recordings_and_rows_are_left_out_and_listed(tmp_path):
    data = write_ljspeech(tmp_path / "data", 40)
    lines = (data / "metadata.csv").read_text().splitlines()
    lines[20] = "clip020|?!"
    lines[21] = "clip021|"
    rows = [*lines, "../wavs/clip022|out", "clip023|another text"]
    write_metadata(data, rows)
    wanted = spoil(data) | {
        "clip020": "no_text",
        "clip021": "no_text",
        "../wavs/clip022": "outside_folder",
        "clip023": "repeated_id",
    }
    speech = build_dataset(data, accept_unusable=True)
    assert reasons(speech) == wanted
    assert len(speech.exclusions) == 16
    assert len(speech) + len(speech.exclusions) == len(rows) == speech.listed
    assert all("\n" not in exclusion.detail and exclusion.detail for exclusion in speech.exclusions)


def test_more_than_a_twentieth_of_unusable_clips_is_refused_unless_accepted(data):
    (data / "wavs/clip000.wav").unlink()
    assert len(build_dataset(data)) == 19
    (data / "wavs/clip001.wav").write_bytes(b"")
    message = complaint(data)
    assert "2 of 20 clips (10.0 %)" in message
    assert "1 no recording, 1 recording without samples" in message
    assert "clip000" in message
    assert "--accept-unusable" in message
    assert len(build_dataset(data, accept_unusable=True)) == 18
    assert "2 of 20 clips" in complaint(data)


def test_nothing_usable_is_refused_even_if_accepted(data):
    for file in (data / "wavs").iterdir():
        file.write_bytes(b"x")
    assert "20 of 20 clips (100.0 %)" in complaint(data, accept_unusable=True)


def test_a_link_that_leads_out_of_the_folder_is_left_out(data, tmp_path):
    write_clip(tmp_path / "elsewhere/secret.wav")
    (data / "wavs/clip004.wav").unlink()
    (data / "wavs/clip004.wav").symlink_to(tmp_path / "elsewhere/secret.wav")
    (data / "wavs/clip005.wav").rename(data / "wavs/kept.wav")
    (data / "wavs/clip005.wav").symlink_to("kept.wav")
    (data / "wavs/sub").symlink_to(tmp_path / "elsewhere")
    with (data / "metadata.csv").open("a") as file:
        file.write("sub/secret|a secret\n")
    speech = build_dataset(data, accept_unusable=True)
    assert reasons(speech) == {"clip004": "outside_folder", "sub/secret": "outside_folder"}


def test_a_folder_of_recordings_may_itself_be_a_link(data, tmp_path):
    (data / "wavs").rename(tmp_path / "big disk")
    (data / "wavs").symlink_to(tmp_path / "big disk")
    assert len(build_dataset(data)) == 20


def test_a_dangling_link_is_a_missing_recording(data):
    (data / "wavs/clip004.wav").unlink()
    (data / "wavs/clip004.wav").symlink_to("nothing.wav")
    assert reasons(build_dataset(data)) == {"clip004": "missing"}


def test_a_long_clip_among_long_clips_stays(tmp_path):
    data = write_ljspeech(tmp_path / "data", 12)
    for n in range(11):
        soundfile.write(data / f"wavs/clip{n:03d}.wav", voiced(2.5, 8_000, seed=n), 8_000)
    soundfile.write(data / "wavs/clip011.wav", voiced(19.0, 8_000), 8_000)
    assert not build_dataset(data).exclusions


def test_a_transcript_that_nobody_could_say_in_its_clip_is_left_out_before_it_costs_anything(data):
    lines = (data / "metadata.csv").read_text().splitlines()
    write_metadata(data, [lines[0] + " and on it goes" * 5000, *lines[1:]])
    speech = build_dataset(data)
    assert reasons(speech) == {"clip000": "too_much_text"}
    assert len(speech.exclusions[0].detail) < 300
    write_metadata(data, [line + " and on it goes" * 50 for line in lines])
    assert "20 more text than can be said" in complaint(data)


def test_a_set_of_long_recordings_is_told_how_to_split_them(tmp_path):
    data = write_ljspeech(tmp_path / "data", 12)
    for n in range(12):
        soundfile.write(data / f"wavs/clip{n:03d}.wav", voiced(31.0, 8_000), 8_000)
    message = complaint(data)
    assert "12 over 30 s" in message
    assert "split them at pauses" in message


@pytest.mark.parametrize(("text", "wanted"), [("{}", "under 4"), ("just too much for it {}", "over 40")])
def test_texts_at_a_rate_that_is_no_speech_are_noticed(tmp_path, text, wanted):
    data = write_ljspeech(tmp_path / "data", 12)
    write_metadata(data, [f"clip{n:03d}|{text.replace('{}', chr(97 + n))}" for n in range(12)])
    assert wanted in suspicious_rate(build_dataset(data))
    assert "--columns" in suspicious_rate(build_dataset(data))


def test_clips_too_short_to_have_a_rate_do_not_refuse_the_set(tmp_path):
    data = write_ljspeech(tmp_path / "data", 24)
    for n in range(24):
        write_clip(data / f"wavs/clip{n:03d}.wav", 0.2 if n < 13 else 0.5)
    lines = [f"clip{n:03d}|seventeen letters {chr(97 + n)}" for n in range(24)]
    write_metadata(data, lines)
    assert suspicious_rate(build_dataset(data)) == ""
    write_metadata(data, [line + " and more of them" * (3 * (n < 4)) for n, line in enumerate(lines)])
    assert reasons(build_dataset(data)) == {f"clip{n:03d}": "cut_off" for n in range(4)}
    write_metadata(data, lines)
    for n in range(24):
        write_clip(data / f"wavs/clip{n:03d}.wav", 0.2 if n < 11 else 0.3)
    assert "over 40" in suspicious_rate(build_dataset(data))


def test_characters_that_are_dropped_are_counted_and_named(data):
    lines = (data / "metadata.csv").read_text().splitlines()
    write_metadata(data, [f"{line} ~\u2603" for line in lines])
    ((what, named),) = build_dataset(data).notes
    assert "not spoken" in what
    assert named == ("~ U+007E (20 times, first in clip000)", "\u2603 U+2603 (20 times, first in clip000)")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.text(alphabet="clip01234|.\n/ab", max_size=150), junk=st.binary(max_size=300))
def test_any_metadata_over_any_files_is_prepared_or_refused_in_one_line(tmp_path, content, junk):
    folder = tmp_path / "fuzzed"
    write_clip(folder / "wavs/1.wav")
    (folder / "wavs/2.wav").write_bytes(junk)
    (folder / "metadata.csv").write_text(content)
    refusal = ""
    try:
        speech = build_dataset(folder, accept_unusable=True)
    except SpeechError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert refusal or len(speech) >= 10
