"""The health report finds what was done to a data set, and names the files."""

import json

import numpy as np
import pytest
import soundfile

from tests.xtts.made_speech import voiced, write_ljspeech, write_metadata
from xtts.data.build_dataset import build_dataset
from xtts.prepare.health import check

COUNT = 60
SPOKEN = [" ".join(["word"] * (3 + n % 5)) + f" {n}" for n in range(COUNT)]


@pytest.fixture(scope="module")
def sick(tmp_path_factory, own_cache):
    """Sixty clips of 14 characters a second, some of them spoiled."""
    folder = write_ljspeech(tmp_path_factory.mktemp("sick"), COUNT)
    rows = [[f"clip{n:03d}", text] for n, text in enumerate(SPOKEN)]
    for n, text in enumerate(SPOKEN):
        soundfile.write(folder / f"wavs/clip{n:03d}.wav", voiced(len(text) / 14, seed=n), 22_050)
    pause = np.zeros(22_050)

    def spoil(n, samples, rate=22_050):
        soundfile.write(folder / f"wavs/clip{n:03d}.wav", samples, rate)

    usual = [voiced(len(text) / 14, seed=n) for n, text in enumerate(SPOKEN)]
    spoil(1, np.clip(20 * usual[1], -1, 1))
    spoil(2, 0.05 * usual[2])
    spoil(3, np.concatenate([pause, usual[3]]))
    spoil(4, np.concatenate([usual[4], pause]))
    rows[5][1] = "six hundred and sixty six words do not fit into so short a clip as this, whoever speaks them so fast"
    rows[6][1] = "ah"
    spoil(7, voiced(len(SPOKEN[7]) / 14, 8_000), 8_000)
    spoil(9, usual[8])
    rows[11][1] = rows[10][1]
    (folder / "wavs/clip012.wav").unlink()
    rows[13][0] = "p248_013"
    (folder / "wavs/clip013.wav").rename(folder / "wavs/p248_013.wav")
    write_metadata(folder, ["|".join(row) for row in rows])
    return build_dataset(folder)


def named(report, words):
    (finding,) = [finding for finding in report.findings if words in finding.what]
    return [file.split(" (")[0] for file in finding.files]


@pytest.mark.parametrize(
    ("words", "files"),
    [
        ("clipped", ["clip001"]),
        ("quiet", ["clip002"]),
        ("silence before", ["clip003"]),
        ("silence after", ["clip004"]),
        ("too short for the text", ["clip005"]),
        ("recorded below 22,050 Hz", ["clip007"]),
        ("recordings under several ids", ["clip008 = clip009"]),
        ("texts spoken more than once", ["clip010 = clip011"]),
        ("no recording", ["clip012"]),
        ("speakers with one clip", ["p248"]),
    ],
)
def test_what_is_wrong_is_named_with_its_files(sick, words, files):
    assert named(check(sick), words) == files


def test_a_clip_that_is_too_long_for_its_text_is_named(sick):
    assert "clip006" in named(check(sick), "too long for the text")


def test_figures_agree_with_the_data(sick):
    report = check(sick)
    seconds = [soundfile.info(sick.audio_path(clip)).duration for clip in range(len(sick))]
    assert report.clips == len(sick) == COUNT - 1
    assert report.hours == pytest.approx(sum(seconds) / 3600, rel=1e-3)
    assert report.seconds["longest"] == pytest.approx(max(seconds), abs=1e-3)
    assert sum(report.splits.values()) == report.clips
    assert report.speakers == {"speaker": COUNT - 2, "p248": 1}
    assert report.sample_rates == {8_000: 1, 22_050: COUNT - 2}
    assert report.excluded == {"missing": 1}
    assert (report.mel_mean, report.mel_sd) == (sick.mel_mean, sick.mel_sd)


def test_the_unnormalised_loss_is_the_weighted_error_of_predicting_zero(sick):
    every = np.concatenate([sick.clip_mel(clip) for clip in range(len(sick))])
    assert check(sick).unnormalised_loss == pytest.approx(35 * np.abs(every).mean(), rel=1e-6)
    assert any(f"= {35 * np.abs(every).mean():.0f}" in line for line in check(sick).lines())


def test_the_report_is_lines_and_json(sick):
    report = check(sick, alignment={"mean_confidence": 0.93})
    assert all(line and "\n" not in line for line in report.lines())
    assert any("mean confidence: 0.93" in line for line in report.lines())
    read = json.loads(json.dumps(report.as_dict()))
    assert read["clips"] == report.clips
    assert read["alignment"] == {"mean_confidence": 0.93}
    assert {finding["what"] for finding in read["findings"]} == {finding.what for finding in report.findings}


def test_a_healthy_set_has_no_findings(tmp_path):
    assert check(build_dataset(write_ljspeech(tmp_path, 20))).findings == ()
