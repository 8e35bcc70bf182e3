"""Recordings are read once, again only where they changed, and a damaged, interrupted or full cache loses nothing."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from io import BytesIO

import numpy as np
import pytest
import soundfile

from tests import ROOT
from tests.xtts.data.preparing import complaint, reads_to_prepare, reasons
from tests.xtts.made_speech import write_clip, write_metadata
from xtts.audio.mel import log_mel
from xtts.data.build_dataset import build_dataset
from xtts.data.dataset import Dataset
from xtts.data.features import cache as feature_cache
from xtts.errors import SpeechError


def the_only(folder, pattern):
    (found,) = folder.glob(pattern)
    return found


def test_a_second_start_reads_no_recording(data):
    assert reads_to_prepare(data) == 20
    assert reads_to_prepare(data) == 0


def test_only_changed_and_new_recordings_are_read_again(data, cache):
    build_dataset(data)
    write_clip(data / "wavs/clip002.wav", 0.6, seed=50)
    write_clip(data / "wavs/clip020.wav", 0.5, seed=51)
    with (data / "metadata.csv").open("a") as file:
        file.write("clip020|something new\n")
    assert reads_to_prepare(data) == 2
    speech = build_dataset(data)
    for clip in (2, 5, 20):
        samples, _ = soundfile.read(speech.audio_path(clip), dtype="float32")
        np.testing.assert_array_equal(speech.clip_mel(clip), log_mel(samples))


def test_a_recording_that_was_only_touched_is_not_extracted_again(data, cache):
    before = build_dataset(data)
    (data / "wavs/clip002.wav").touch()
    size = the_only(cache, "features/*/mel-*.f32").stat().st_size
    after = build_dataset(data)
    assert after.fingerprint == before.fingerprint
    assert the_only(cache, "features/*/mel-*.f32").stat().st_size == size


def test_a_change_that_hides_behind_size_and_time_is_found_by_deep(data):
    before = build_dataset(data)
    file = data / "wavs/clip002.wav"
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    content = bytearray(file.read_bytes())
    content[3000:3400] = content[5000:5400]
    file.write_bytes(content)
    os.utime(file, ns=times)
    assert build_dataset(data).fingerprint == before.fingerprint
    deep = build_dataset(data, deep=True)
    assert deep.fingerprint != before.fingerprint
    np.testing.assert_array_equal(deep.clip_mel(2), log_mel(soundfile.read(file, dtype="float32")[0]))
    assert build_dataset(data).fingerprint == deep.fingerprint


def test_a_recording_written_a_moment_ago_is_looked_at_again(data, monkeypatch):
    monkeypatch.setattr(feature_cache, "_RACY_NS", 60_000_000_000)
    write_clip(data / "wavs/clip002.wav", 0.5, seed=1)
    build_dataset(data)
    times = ((data / "wavs/clip002.wav").stat().st_mtime_ns,) * 2
    write_clip(data / "wavs/clip002.wav", 0.5, seed=2)
    os.utime(data / "wavs/clip002.wav", ns=times)
    speech = build_dataset(data)
    np.testing.assert_array_equal(
        speech.clip_mel(2), log_mel(soundfile.read(data / "wavs/clip002.wav", dtype="float32")[0])
    )


def test_a_recording_that_comes_back_is_used(data):
    away = (data / "wavs/clip002.wav").rename(data / "away.wav")
    assert reasons(build_dataset(data)) == {"clip002": "missing"}
    away.rename(data / "wavs/clip002.wav")
    assert not build_dataset(data).exclusions


def test_frames_that_nothing_points_to_are_cleared_away(data, cache):
    first = build_dataset(data)
    kept = first.clip_mel(7).copy()
    for n in range(14):
        write_clip(data / f"wavs/clip{n:03d}.wav", 0.3, seed=100 + n)
    build_dataset(data)
    for n in range(14):
        write_clip(data / f"wavs/clip{n:03d}.wav", 0.3, seed=200 + n)
    speech = build_dataset(data)
    assert len(speech.mel) < 2 * speech.frames.sum()
    np.testing.assert_array_equal(speech.clip_mel(2), log_mel(soundfile.read(speech.audio_path(2), dtype="float32")[0]))
    # A trial that opened the first features still has them, and one that starts now finds them.
    np.testing.assert_array_equal(first.clip_mel(7), kept)
    np.testing.assert_array_equal(Dataset.open(first.folder).clip_mel(7), kept)


def test_where_no_second_name_can_be_given_frames_are_copied(data, monkeypatch):
    def refuse(source, target):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    build_dataset(data)
    write_clip(data / "wavs/clip002.wav", 0.6, seed=50)
    speech = build_dataset(data)
    for clip in (2, 5):
        samples, _ = soundfile.read(speech.audio_path(clip), dtype="float32")
        np.testing.assert_array_equal(Dataset.open(speech.folder).clip_mel(clip), log_mel(samples))


def damage(file, at):
    content = bytearray(file.read_bytes())
    content[int(at * len(content))] ^= 0xFF
    with file.open("r+b") as opened:
        opened.write(content)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda cache: damage(the_only(cache, "features/*/index.sealed"), 0.5),
        lambda cache: the_only(cache, "features/*/index.sealed").write_bytes(b""),
        lambda cache: the_only(cache, "features/*/index.sealed").unlink(),
        lambda cache: damage(the_only(cache, "features/*/mel-*.f32"), 0.3),
        lambda cache: os.truncate(the_only(cache, "features/*/mel-*.f32"), 5000),
        lambda cache: os.truncate(the_only(cache, "features/*/mel-*.f32"), 0),
        lambda cache: the_only(cache, "features/*/mel-*.f32").unlink(),
        lambda cache: damage(the_only(cache, "features/*/*/prepared.sealed"), 0.7),
        lambda cache: the_only(cache, "features/*/*/prepared.sealed").write_bytes(b"abc"),
        lambda cache: the_only(cache, "features/*/*/mel-*.f32").unlink(),
        lambda cache: the_only(cache, "features/*/stamps.json").write_text("[1, 2"),
        lambda cache: the_only(cache, "features/*/stamps.json").write_text('{"a": 1}'),
    ],
)
def test_a_damaged_cache_mends_itself(data, cache, break_it):
    before = build_dataset(data)
    wanted = [before.clip_mel(clip).copy() for clip in range(20)]
    fingerprint = before.fingerprint
    del before
    break_it(cache)
    mended = build_dataset(data)
    assert mended.fingerprint == fingerprint
    for clip in range(20):
        np.testing.assert_array_equal(mended.clip_mel(clip), wanted[clip])
    assert reads_to_prepare(data) == 0


def test_opening_what_is_gone_or_damaged_is_one_line(data):
    speech = build_dataset(data)
    damage(speech.folder / "prepared.sealed", 0.5)
    with pytest.raises(SpeechError, match="gone or damaged"):
        Dataset.open(speech.folder)
    with pytest.raises(SpeechError, match="gone or damaged"):
        Dataset.open(speech.folder / "nothing")


def in_another_process(program, data, cache, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(data)],
        cwd=ROOT,
        env=os.environ | {"XTTS_SWEEP_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_an_interrupted_extraction_goes_on_where_it_was(data, cache):
    killed = in_another_process(
        """
        import sys, time
        from pathlib import Path
        from xtts.data.features import cache as feature_cache
        from xtts.data.build_dataset import build_dataset
        feature_cache._SAVE_EVERY_SECONDS = 0.0
        def progress(done, total, what):
            if done == 13:
                print("here", flush=True)
                time.sleep(60)
        build_dataset(Path(sys.argv[1]), progress=progress)
        """,
        data,
        cache,
    )
    assert killed.stdout.readline() == "here\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert 1 <= reads_to_prepare(data) <= 8
    speech = build_dataset(data)
    for clip in range(20):
        samples, _ = soundfile.read(speech.audio_path(clip), dtype="float32")
        np.testing.assert_array_equal(speech.clip_mel(clip), log_mel(samples))


def test_a_second_process_waits_for_the_first_and_reads_nothing(data, cache):
    program = """
        import sys
        from pathlib import Path
        from xtts.data.build_dataset import build_dataset
        said = []
        def progress(done, total, what):
            if done == 5:
                print("half way", flush=True)
                sys.stdin.readline()
            if total == 0:
                print("waiting", flush=True)
            said.append(what)
        speech = build_dataset(Path(sys.argv[1]), progress=progress)
        print(said.count("reading recordings"), speech.fingerprint)
    """
    first = in_another_process(program, data, cache, stdin=subprocess.PIPE)
    assert first.stdout.readline() == "half way\n"
    second = in_another_process(program, data, cache, stdin=subprocess.PIPE)
    assert second.stdout.readline() == "waiting\n"
    read, fingerprint = first.communicate("go on\n", timeout=60)[0].split()
    assert read == "20"
    assert second.communicate(timeout=60)[0].split() == ["0", fingerprint]


def test_a_full_disk_is_one_line_and_nothing_is_lost(data, cache):
    wanted = build_dataset(data).fingerprint
    for n in range(20, 40):
        write_clip(data / f"wavs/clip{n:03d}.wav", 1.0, seed=n)
    with (data / "metadata.csv").open("a") as file:
        file.writelines(f"clip{n:03d}|number {n}\n" for n in range(20, 40))
    # The operating system refuses to let files grow past this, as a full disk would.
    full = in_another_process(
        """
        import resource, sys
        from pathlib import Path
        from xtts.data.build_dataset import build_dataset
        from xtts.errors import SpeechError
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        try:
            build_dataset(Path(sys.argv[1]))
        except SpeechError as error:
            print(error)
        """,
        data,
        cache,
    )
    message, complaints = full.communicate(timeout=60)
    assert complaints == ""
    assert message.count("\n") == 1
    assert "feature cache cannot be written" in message
    assert "XTTS_SWEEP_CACHE" in message
    assert not list(cache.rglob("*.tmp"))
    lines = (data / "metadata.csv").read_text().splitlines()
    write_metadata(data, lines[:20])
    assert reads_to_prepare(data) == 0
    assert build_dataset(data).fingerprint == wanted


def test_a_cache_that_cannot_be_made_is_one_line(data, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XTTS_SWEEP_CACHE", str(tmp_path / "file"))
    message = complaint(data)
    assert "XTTS_SWEEP_CACHE" in message
    assert os.strerror(errno.ENOTDIR) in message or os.strerror(errno.EEXIST) in message


def test_nothing_in_the_cache_is_pickled(data, cache):
    build_dataset(data)
    for file in cache.rglob("*.sealed"):
        with np.load(BytesIO(file.read_bytes()[32:]), allow_pickle=False) as arrays:
            assert all(arrays[name].dtype != object for name in arrays.files)
    json.loads(the_only(cache, "features/*/stamps.json").read_text())


def test_common_wavs_need_no_audio_library(data, cache):
    process = in_another_process(
        """
        import sys
        sys.modules.update(dict.fromkeys(("librosa", "soundfile", "soxr", "torch"), None))
        from pathlib import Path
        from xtts.data.build_dataset import build_dataset
        print(len(build_dataset(Path(sys.argv[1]))))
        """,
        data,
        cache,
    )
    assert process.communicate(timeout=60) == ("20\n", "")
