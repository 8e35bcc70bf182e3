"""What xtts adds to a run's page and to its W&B record: the story, findings that are said once, samples with mels."""

from __future__ import annotations

import dataclasses
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.report import png
from sweeps.run.folder import RunFolder
from sweeps.run.run import Run, read_run
from tests.sweeps.builders import toy_request, trial_events
from tests.sweeps.report.report_runs import confirmation_events
from tests.sweeps.wandb.wandb_runs import event, new_folder, write_events
from xtts.inference.samples import write_wav
from xtts_sweep.integration import report_extras, sounds, write_page
from xtts_sweep.integration.loss_story import loss_bands

SPEECH = {
    "clips": 147,
    "hours": 0.1,
    "source": "demo speech",
    "splits": {"train": 117, "validation": 15, "test": 15},
    "speakers": {"mina": 74, "daniel": 73},
    "mel_mean": -5.6,
    "mel_sd": 2.7,
    "alignment": {"mean_confidence": 0.87, "doubtful": ["wavs/a"]},
    "excluded": {},
    "fingerprint": "2c9c",
}


def trial_log(number: int, objectives: list[float], losses: list[float], **more: Any) -> list[dict[str, Any]]:
    """A trial's events with what it printed."""
    events: list[dict[str, Any]] = [dict(one) for one in trial_events(number, objectives, **more)]
    for one in events:
        if one["event"] == "report":
            at = int(one["epoch"])
            one |= {"loss": losses[at - 1], "loss_first": losses[0] * 1.2, "loss_max": losses[at - 1] * 1.1}
            one |= {"updates": 58 * at, "audio_seconds": 600.0 * at, "seconds": 20.0 * at, "mean_frame_error": 0.8}
            one |= {"train/loss_clip_fraction": 0.25}
    return events


def speech_run(output: Path, space: str = "safe_weights", **how: Any) -> Run:
    """Two trials on speech: a default that prints three digits at first, and one that is better."""
    request = toy_request(output, space, trials=2, epochs=4, data_summary=SPEECH)
    folder = new_folder(request)
    first = trial_log(1, [0.7, 0.6, 0.55, 0.54], [200.0, 10.0, 6.0, 2.0], **{"origin": "default", **how})
    second = trial_log(2, [0.6, 0.52, 0.5, 0.49], [2.0, 1.5, 1.2, 1.0], **how)
    write_events(folder, request, [event("sweep_started"), *first, *second, event("sweep_ended", reason="finished")])
    return read_run(folder.path)


def test_only_a_run_of_the_story_shows_its_bands_and_tables(tmp_path: Path) -> None:
    extras = report_extras(speech_run(tmp_path))
    assert (extras.tables, extras.loss_bands) == ((), ())


def test_a_run_of_the_story_itself_opens_with_its_table(tmp_path: Path) -> None:
    story, bands, signs = report_extras(speech_run(tmp_path, "before_after", role="control", origin="control")).tables
    heads = (
        "trial",
        "first loss",
        "worst single step",
        "objective",
        "epochs to the target",
        "steps without a gradient",
    )
    assert story.head == heads
    name, first, worst, objective, to_target, zeroed = story.rows[1]
    assert (name, first, worst, objective, zeroed) == ("t0002", "2.4", "2.2", "0.4900", "25.0%")
    assert 0 < float(to_target) < 4
    assert bands.head == ("trial", "early 15–30", "mid 5–15", "late 2–8", "converged 0.5–3")
    assert bands.rows[0][1:] == ("200 (outside)", "10 (inside)", "6 (inside)", "2 (inside)")
    assert signs.rows[0][1:] == ("240", "no", "yes", "yes", "yes", "0.5400")
    assert signs.rows[1][1:] == ("2.4", "yes", "yes", "yes", "yes", "0.4900")


def test_the_bands_cover_training_a_quarter_each() -> None:
    bands = loss_bands("en")
    assert [(band.from_share, band.to_share) for band in bands] == [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)]
    assert [(band.low, band.high) for band in bands] == [(15, 30), (5, 15), (2, 8), (0.5, 3)]
    assert loss_bands("fa")[0].name == "آغاز 15 تا 30"


def test_a_finding_of_many_trials_is_said_once_and_names_them(tmp_path: Path) -> None:
    still = [note for note in report_extras(speech_run(tmp_path)).findings if note.trials == ("t0001", "t0002")]
    assert still
    assert all(note.text.startswith("t0001: ") for note in still)
    codes = [note.text for note in report_extras(speech_run(tmp_path / "fa"), "fa").findings]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("lang", ["en", "fa"])
def test_the_page_of_a_run_on_speech_holds_all_of_it(tmp_path: Path, lang: str) -> None:
    run = speech_run(tmp_path)
    page = unescape(write_page(run, lang).read_text(encoding="utf-8"))
    assert "2c9c" in page
    assert ("117 آموزش، 15 اعتبارسنجی، 15 آزمون" if lang == "fa" else "117 train, 15 validation, 15 test") in page


def test_another_trainers_run_has_coordinates_and_no_story(tmp_path: Path) -> None:
    run = speech_run(tmp_path)
    plain = dataclasses.replace(run, config=dataclasses.replace(run.config, data_summary={}))
    extras = report_extras(plain)
    assert extras.coordinates
    assert (extras.tables, extras.loss_bands, extras.findings) == ((), (), ())


def with_samples(folder: RunFolder, *words: str) -> None:
    samples = folder.best / "samples"
    samples.mkdir(parents=True)
    (samples / "1.txt").write_text("en_032|two foxes ran\n", encoding="utf-8")
    for word in words:
        write_wav(samples / f"1.{word}.wav", np.sin(np.arange(22050, dtype=np.float32) / 20))


def test_best_and_default_are_heard_and_seen_on_their_own_runs(tmp_path: Path) -> None:
    run = speech_run(tmp_path)
    with_samples(run.folder, "real", "said", "default")
    found = {(one.trial_id, one.name): one for one in sounds(run, tmp_path)}
    assert set(found) == {
        ("t0002", "sentence 1/said"),
        ("t0002", "sentence 1/recording"),
        ("t0001", "sentence 1/said"),
    }
    for one in found.values():
        assert one.audio is not None
        assert one.picture is not None
        assert one.picture.read_bytes().startswith(png(np.zeros((1, 1), np.float32))[:8])
    assert found["t0001", "sentence 1/said"].caption == "default: two foxes ran"
    (text,) = report_extras(run).samples
    assert [sample.who for sample in text.samples] == ["real", "default", "best"]
    assert all(sample.picture is not None and sample.picture.shape[1] == 80 for sample in text.samples)


def test_where_nothing_beat_the_default_it_is_not_called_the_best(tmp_path: Path) -> None:
    request = toy_request(tmp_path, trials=1, epochs=4, data_summary=SPEECH)
    folder = new_folder(request)
    write_events(folder, request, trial_log(1, [0.7, 0.6], [3.0, 2.0], origin="default"))
    with_samples(folder, "real", "said")
    (text,) = report_extras(read_run(folder.path)).samples
    assert [sample.who for sample in text.samples] == ["real", "default"]
    assert {(one.trial_id, one.name) for one in sounds(read_run(folder.path), tmp_path)} == {
        ("t0001", "sentence 1/said"),
        ("t0001", "sentence 1/recording"),
    }


def test_where_the_default_is_kept_the_searchs_best_is_heard_next_to_it(tmp_path: Path) -> None:
    request = toy_request(tmp_path, trials=2, epochs=4, data_summary=SPEECH)
    folder = new_folder(request)
    same = {2001: 0.5, 2002: 0.5, 2003: 0.5}
    first, second = trial_log(1, [0.7, 0.6], [3.0, 2.0], origin="default"), trial_log(2, [0.6, 0.5], [3.0, 2.0])
    write_events(folder, request, [*first, *second, *confirmation_events(same, same)])
    assert read_run(folder.path).recommended is not None
    with_samples(folder, "real", "said", "best")
    (text,) = report_extras(read_run(folder.path)).samples
    assert [sample.who for sample in text.samples] == ["real", "default", "best"]
    owners = {one.caption.partition(":")[0]: one.trial_id for one in sounds(read_run(folder.path), tmp_path)}
    assert (owners["default"], owners["best"]) == ("t0001", "t0002")
