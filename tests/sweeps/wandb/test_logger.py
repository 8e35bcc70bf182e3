"""Offline records as they stand in .wandb files."""

from __future__ import annotations

import json
import math
import os
import struct
import sys
import time
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from sweeps.confirm.verdict import judge
from sweeps.confirm.verdict_json import verdict_to_json
from sweeps.run.folder import RunFolder
from sweeps.wandb import Sample
from tests.sweeps.builders import toy_request, trial_events
from tests.sweeps.report.report_runs import confirmation_events
from tests.sweeps.wandb.wandb_files import WandbFile, read_runs
from tests.sweeps.wandb.wandb_runs import RATIOS, event, new_folder, started, wav, write_events

SECRET = "planted-4f1c9a7e"


KEY = "0123456789abcdef" * 3


def png(path: Path) -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0\0\xff" * 2)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, str]:
    """Five trials, a confirmation and two rivals, recorded offline with secrets around; and the line it closed with."""
    output = tmp_path_factory.mktemp("runs")
    request = toy_request(output, trials=5, epochs=3, set_params={"learning_rate": 0.001})
    folder = new_folder(request)
    more = {"loss": 2.0, "train/mel": 0.5, "train/kl": 0.1, "mean_frame_error": 1.0}
    trials = [
        dict(one) | ({**more, "updates": 10 * int(str(one["epoch"]))} if one["event"] == "report" else {})
        for number, objectives, how in [
            (2, [0.9, 0.85], {"status": "stopped", "reason": "stopped at a rung"}),
            (1, [0.9, 0.6, 0.5], {"origin": "default"}),
            (3, [0.8, 0.4, 0.45], {}),
            (4, [0.9, math.nan], {"status": "diverged", "reason": "mel is nan at step 7"}),
            (5, [0.5, 0.5, 0.5], {"role": "control", "origin": "control"}),
        ]
        for one in trial_events(number, objectives, **how)  # type: ignore[arg-type]
    ]
    judged = [
        {**one, **({**more, "loss": 1.5} if one["event"] == "report" else {})}
        for one in confirmation_events({2001: 0.42}, {2001: 0.5}, "t0003")
    ]
    judged.sort(key=lambda one: one["trial_id"] == "c0002")  # the judged default ends last
    default = next(one for one in trials if one["trial_id"] == "t0001")
    trials.remove(default)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_TOKEN", SECRET)
        patch.setenv("WANDB_API_KEY", KEY)
        patch.setenv("WANDB_NOTES", SECRET)
        patch.setenv("WANDB_RUN_ID", "stray")
        patch.setattr(sys, "argv", ["run_sweep.py", SECRET])
        logger = started(folder, ratios=RATIOS)
        write_events(folder, request, [event("sweep_started"), default, *trials])
        write_events(folder, request, [*judged, event("sweep_ended", reason="finished")])
        verdict = judge({2001: 0.42, 2002: 0.41, 2003: 0.43}, {2001: 0.5, 2002: 0.49, 2003: 0.51})
        (folder.path / "verdict.json").write_text(json.dumps(verdict_to_json(verdict)))
        sample = Sample("t0003", "1.said", wav(output / "a.wav"), png(output / "a.png"), "the best")
        real = Sample("t0001", "1.said", wav(output / "b.wav"), None, "the default")
        note = logger.end(folder, [sample, real])
    assert note is not None
    return folder, note


@pytest.fixture(scope="module")
def runs(recorded: tuple[RunFolder, str]) -> dict[str, list[WandbFile]]:
    return read_runs(recorded[0].path / "wandb")


def test_every_trial_and_the_sweep_itself_is_a_run_of_one_group(
    recorded: tuple[RunFolder, str], runs: dict[str, list[WandbFile]]
) -> None:
    folder, note = recorded
    upload = f"python run_sweep.py publish toy --output {folder.path.parent}"
    assert note == f"W&B: 12 runs in {folder.path / 'wandb'}; upload them with: {upload}"
    judged = ["c0001", "c0002", "c0003", "r0001", "r0002", "r0003"]
    assert sorted(runs) == [*judged, "sweep", "t0001", "t0002", "t0003", "t0004", "t0005"]
    assert {one.run.run_group for fragments in runs.values() for one in fragments} == {"toy"}
    assert {one.run.project for fragments in runs.values() for one in fragments} == {"speech"}
    kinds = {name: fragments[0].run.job_type for name, fragments in runs.items()}
    assert kinds == {
        **dict.fromkeys(["t0001", "t0002", "t0003", "t0004"], "trial"),
        "t0005": "control",
        **dict.fromkeys(["c0001", "c0002", "c0003"], "confirm"),
        **dict.fromkeys(["r0001", "r0002", "r0003"], "rival"),
        "sweep": "sweep",
    }
    assert runs["c0003"][0].run.display_name == "c0003 finalist t0003"
    assert runs["r0001"][0].run.display_name == "r0001 GradNorm"
    assert runs["c0003"][0].config["seed"] == 2001
    assert list(runs["t0001"][0].run.tags) == ["safe_weights", "default"]
    assert runs["t0001"][0].run.display_name == "t0001 default"


def test_a_run_holds_parameters_ratios_and_raw_terms_by_epoch(runs: dict[str, list[WandbFile]]) -> None:
    one = runs["t0003"][0]
    assert one.config["mel_loss_weight"] == 1.3
    assert one.config["rho"] == pytest.approx(1 / 1.3)
    assert one.config["clip_over_mel"] == pytest.approx(0.5 / 1.3)
    assert one.config["learning_rate"] == 0.001
    assert [row["epoch"] for row in one.history] == one.steps == [1, 2, 3]
    assert [row["objective"] for row in one.history] == [0.8, 0.4, 0.45]
    assert {row["train/kl"] for row in one.history} == {0.1}
    assert one.step_metrics["*"] == "epoch"
    assert "objective" not in runs["t0004"][0].history[1]


def test_the_summary_is_the_best_epoch_and_how_the_trial_ended(runs: dict[str, list[WandbFile]]) -> None:
    best = runs["t0003"][0].summary
    assert (best["objective"], best["best_epoch"], best["status"]) == (0.4, 2, "finished")
    stopped = runs["t0002"][0].summary
    assert (stopped["objective"], stopped["stop_reason"]) == (0.85, "stopped at a rung")
    diverged = runs["t0004"][0].summary
    assert (diverged["status"], diverged["stop_reason"]) == ("diverged", "mel is nan at step 7")
    assert runs["t0001"][0].summary["speedup"] == 1.0
    assert runs["t0003"][0].exit_codes == [0]


def test_a_trial_that_ended_before_the_default_still_gets_its_speed_up(runs: dict[str, list[WandbFile]]) -> None:
    # It can only be known once the default has ended, so the run waited for that.
    assert runs["t0002"][0].summary["speedup_bound"].startswith("at most")
    assert runs["c0003"][0].summary["speedup"] > 0.5
    assert runs["c0002"][0].summary["speedup"] == 1.0


def test_samples_are_on_the_runs_of_their_trials(recorded: tuple[RunFolder, str], runs: Any) -> None:
    first, second = runs["t0003"]
    assert first.run.run_id == second.run.run_id
    (row,) = second.history
    assert second.steps[0] > first.steps[-1]
    audio = row["samples/1.said/audio"]
    assert audio["_type"] == "audio-file"
    assert (second.path.parent / "files" / audio["path"]).stat().st_size > 4000
    picture = row["samples/1.said/mel"]
    assert picture["_type"] == ("html-file" if find_spec("PIL") is None else "image-file")
    assert (second.path.parent / "files" / picture["path"]).exists()
    assert second.summary["objective"] == 0.4
    assert second.summary["train/kl"] == 0.1
    assert [row["samples/1.said/audio"]["caption"] for row in runs["t0001"][1].history] == ["the default"]


def test_the_sweeps_run_has_the_table_and_its_files_as_artifacts(
    recorded: tuple[RunFolder, str], runs: dict[str, list[WandbFile]]
) -> None:
    (sweep,) = runs["sweep"]
    assert sweep.history[0]["trials"]["_type"] == "table-file"
    assert sweep.history[0]["trials"]["nrows"] == 11
    kinds = {name: artifact.type for name, artifact in sweep.artifacts.items() if artifact.type != "run_table"}
    assert kinds == {"toy-space": "search-space", "toy-best-config": "config", "toy-verdict": "verdict"}
    files = {entry.path: Path(entry.local_path) for one in sweep.artifacts.values() for entry in one.manifest.contents}
    assert files["best_config.yaml"].read_text() == recorded[0].best_config.read_text()
    assert files["verdict.json"].read_text() == (recorded[0].path / "verdict.json").read_text()
    assert "mel_loss_weight" in files["space.yaml"].read_text()
    assert all(recorded[0].path / "wandb" in path.parents for path in files.values())
    assert (sweep.summary["best_trial"], sweep.summary["verdict"]) == ("t0003", "better")


def test_no_key_no_environment_and_nothing_of_the_machine_reaches_a_file(recorded: tuple[RunFolder, str]) -> None:
    files = [path for path in recorded[0].path.rglob("*") if path.is_file()]
    assert len(files) > 20
    hostname = os.uname().nodename.encode()
    for path in files:
        content = path.read_bytes()
        assert not [word for word in (SECRET.encode(), KEY.encode(), b"stray") if word in content], path
        assert len(hostname) < 5 or hostname not in content, path
    names = {path.name for path in files}
    assert not names & {"wandb-metadata.json", "requirements.txt", "output.log", "diff.patch"}


def test_after_a_resume_a_run_goes_on_as_a_fragment_with_rising_steps(tmp_path: Path) -> None:
    request = toy_request(tmp_path, trials=2, epochs=4)
    folder = new_folder(request)
    events = trial_events(1, [0.9, 0.8, 0.7, 0.6], origin="default")
    logger = started(folder)
    write_events(folder, request, [event("sweep_started"), *events[:3]])
    assert logger.end(folder) is not None
    assert logger.end(folder) is None
    before = time.time()
    logger = started(folder, project="elsewhere")
    resumed = [event("sweep_resumed"), event("trial_retried", "t0001", epoch=2, reason="resumed")]
    write_events(folder, request, [*resumed, *events[3:]])
    logger.end(folder)

    runs = read_runs(folder.path / "wandb")
    first, second = runs["t0001"]
    assert first.run.run_id == second.run.run_id
    assert (first.steps, second.steps) == ([1, 2], [3, 4])
    assert first.summary["status"] == "running"
    assert (second.summary["status"], second.summary["objective"], second.summary["best_epoch"]) == ("finished", 0.6, 4)
    assert {one.run.project for one in runs["t0001"]} == {"speech"}
    assert second.run.start_time.seconds >= int(before)
    assert [one.summary["trials"] for one in runs["sweep"]] == [1, 1]


def test_the_stop_button_of_wandb_interrupts_nothing() -> None:
    from sweeps.wandb.run_opener import run_settings

    settings = run_settings("offline", None)
    assert settings.stop_fn is not None
    assert settings.stop_fn() is None
