"""Uploads and publishing against a server on the loopback that speaks W&B's protocol; nothing leaves the machine."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from sweeps.common.errors import RequestError, SweepFailed
from sweeps.run.folder import RunFolder
from sweeps.wandb import Sample, publish
from sweeps.wandb.destination import read_destination
from tests.sweeps.builders import toy_request, trial_events
from tests.sweeps.wandb.wandb_files import read_runs
from tests.sweeps.wandb.wandb_runs import RATIOS, event, new_folder, started, wav, write_events
from tests.sweeps.wandb.wandb_server import ENTITY, KEY, State, wandb_server

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """A server that this process is logged in to, with a home of its own."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with wandb_server() as state:
        monkeypatch.setenv("WANDB_BASE_URL", state.url)
        yield state


def two_sessions(output: Path) -> RunFolder:
    """An offline run whose default trial was interrupted after two epochs and resumed."""
    request = toy_request(output, trials=2, epochs=4)
    folder = new_folder(request)
    events = trial_events(1, [0.9, 0.8, 0.7, 0.6], origin="default")
    logger = started(folder, ratios=RATIOS)
    write_events(folder, request, [event("sweep_started"), *events[:3]])
    logger.end(folder)
    logger = started(folder, ratios=RATIOS)
    write_events(folder, request, [event("sweep_resumed"), *events[3:], *trial_events(2, [0.7, 0.5])])
    logger.end(folder)
    return folder


def ids(folder: RunFolder, *names: str) -> list[str]:
    destination = read_destination(folder.path / "wandb")
    assert destination is not None
    return [destination.run_id(name) for name in names]


def test_publishing_uploads_joins_fragments_and_adopts_the_runs_as_a_sweep(tmp_path: Path, server: State) -> None:
    folder = two_sessions(tmp_path)
    progress: list[str] = []
    lines = publish(folder.path, project="ignored", log=progress.append)
    assert lines[:2] == [f"3 runs are in project speech of {ENTITY}", "sweep sw33p has adopted the trials"]
    assert progress[-1] == "uploaded 5 of 5"
    assert server.unknown == []

    default, other, sweep = ids(folder, "t0001", "t0002", "sweep")
    assert set(server.runs) == {default, other, sweep}
    assert [row["epoch"] for row in server.rows(default)] == [1, 2, 3, 4]
    assert [row["objective"] for row in server.rows(default)] == [0.9, 0.8, 0.7, 0.6]
    assert server.summaries[default]["status"] == "finished"
    assert server.summaries[other]["objective"] == 0.5
    config = json.loads(server.runs[other]["config"])
    assert config["rho"]["value"] == pytest.approx(1 / 1.2)
    assert (server.runs[other]["groupName"], server.runs[other]["jobType"]) == ("toy", "trial")
    assert server.runs[other].get("host") is None
    assert server.runs[other]["program"] == "run_sweep.py"
    assert "mel_loss_weight" in server.uploads["artifact-toy-space/space.yaml"].decode()
    assert server.uploads["artifact-toy-best-config/best_config.yaml"] == folder.best_config.read_bytes()
    assert set(server.finished.values()) == {0}

    (made,) = server.named("UpsertSweep")
    assert json.loads(made["priorRunsFilters"]) == {"$or": [{"name": default}, {"name": other}]}
    assert (made["entityName"], made["projectName"]) == (ENTITY, "speech")
    assert "log_uniform_values" in made["config"]
    assert not [path for path in folder.path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_publishing_again_sends_what_is_new_and_makes_no_second_sweep(tmp_path: Path, server: State) -> None:
    folder = two_sessions(tmp_path)
    publish(folder.path, project="speech")
    sent = len(server.named("UpsertBucket"))
    publish(folder.path, project="speech")
    assert len(server.named("UpsertBucket")) == sent

    logger = started(folder)
    write_events(folder, toy_request(tmp_path, epochs=4), [event("sweep_resumed"), *trial_events(3, [0.7, 0.4])])
    logger.end(folder)
    publish(folder.path, project="speech")
    (new,) = ids(folder, "t0003")
    assert [row["objective"] for row in server.rows(new)] == [0.7, 0.4]
    assert server.runs[new]["sweep"] == "sw33p"
    assert len(server.named("UpsertSweep")) == 1


def test_a_sweep_that_ran_without_wandb_is_published_from_its_journal(tmp_path: Path, server: State) -> None:
    request = toy_request(tmp_path, trials=2)
    folder = new_folder(request)
    trials = [*trial_events(1, [0.9, 0.8], origin="default"), *trial_events(2, [0.7, 0.6], "failed")]
    write_events(folder, request, [event("sweep_started"), *trials, event("sweep_ended", reason="finished")])
    sample = Sample("t0002", "sentence 1/said", wav(tmp_path / "a.wav"), None, "the best")
    publish(folder.path, project="speech", entity="team", ratios=RATIOS, samples=lambda run, pictures: [sample])
    first, second = ids(folder, "t0001", "t0002")
    assert server.rows(second)[-1]["samples/sentence 1/said/audio"]["_type"] == "audio-file"
    assert any(name.startswith(f"{second}/media/audio/") for name in server.uploads)
    assert [row["objective"] for row in server.rows(first)] == [0.9, 0.8]
    assert json.loads(server.runs[first]["config"])["rho"]["value"] == pytest.approx(1 / 1.1)
    assert server.finished[second] == 1
    assert server.named("UpsertSweep")[0]["entityName"] == "team"


@pytest.mark.skipif(find_spec("wandb_workspaces") is None, reason="wandb-workspaces is an optional package")
def test_a_workspace_shows_the_search_the_curves_and_the_table(tmp_path: Path, server: State) -> None:
    folder = two_sessions(tmp_path)
    lines = publish(folder.path, project="speech")
    assert lines[2].startswith(f"workspace {server.url}/{ENTITY}/speech?nw=")
    (view,) = server.named("UpsertView2")
    section = json.loads(view["spec"])["section"]
    panels = [panel for part in section["panelBankConfig"]["sections"] for panel in part["panels"]]
    coordinates, importance, *curves = panels[:-1]
    accessors = [column["accessor"] for column in coordinates["config"]["columns"]]
    assert accessors == [
        "config:mel_loss_weight.value",
        "config:kl_loss_weight.value",
        "config:gradient_clip_norm.value",
        "summary:objective",
    ]
    assert [column.get("log") for column in coordinates["config"]["columns"]] == [True, True, True, None]
    assert importance["config"]["targetKey"] == "objective"
    assert [(curve["config"]["xAxis"], curve["config"]["metrics"]) for curve in curves] == [("epoch", ["objective"])]
    assert panels[-1]["viewType"] == "Weave"
    assert "summary:speedup" in section["runSets"][0]["runFeed"]["columnOrder"]
    assert '"toy"' in json.dumps(section["runSets"][0]["filters"])
    publish(folder.path, project="speech")
    assert len(server.named("UpsertView2")) == 1


def test_without_wandb_workspaces_a_line_says_how_to_get_the_workspace(
    tmp_path: Path, server: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "wandb_workspaces.py").write_text("raise ImportError('not installed')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "without"))
    lines = publish(two_sessions(tmp_path).path, project="speech")
    assert lines[2].startswith("wandb-workspaces is not installed")


def test_runs_that_wandb_does_not_take_are_named_and_sent_the_next_time(tmp_path: Path, server: State) -> None:
    folder = two_sessions(tmp_path)
    (refused,) = ids(folder, "t0002")
    server.refuse.add(refused)
    with pytest.raises(SweepFailed, match=r"publish toy: W&B did not take 1 of 5 run files \(.+\); publish again"):
        publish(folder.path, project="speech")
    assert not server.named("UpsertSweep")
    server.refuse.clear()
    progress: list[str] = []
    publish(folder.path, project="speech", log=progress.append)
    assert progress[-1] == "uploaded 1 of 1"
    assert [row["objective"] for row in server.rows(refused)] == [0.7, 0.5]


def test_publishing_needs_a_login_and_a_run_that_nobody_uses(
    tmp_path: Path, server: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = toy_request(tmp_path)
    folder = new_folder(request)
    write_events(folder, request, trial_events(1, [0.9]))
    with folder.locked(), pytest.raises(RequestError, match="is in use by process"):
        publish(folder.path, project="speech")
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(RequestError, match="publish toy: there is no W&B login here; run `wandb login`"):
        publish(folder.path, project="speech")
    assert not server.calls


def test_online_runs_are_there_while_the_sweep_runs_and_are_not_sent_again(tmp_path: Path, server: State) -> None:
    request = toy_request(tmp_path, trials=1)
    folder = new_folder(request)
    logger = started(folder, "online", ratios=RATIOS)
    write_events(folder, request, [event("sweep_started"), *trial_events(1, [0.9, 0.8], origin="default")])
    note = logger.end(folder)
    assert note == f"W&B: 2 runs at {server.url}/{ENTITY}/speech"
    (default,) = ids(folder, "t0001")
    assert [row["objective"] for row in server.rows(default)] == [0.9, 0.8]
    assert server.summaries[default]["best_epoch"] == 2
    assert not [path for path in folder.path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    sent = len(server.named("UpsertBucket"))
    publish(folder.path, project="speech")
    assert len(server.named("UpsertBucket")) == sent
    assert len(server.named("UpsertSweep")) == 1


def test_online_runs_are_kept_offline_where_the_server_never_answers(
    tmp_path: Path, server: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = toy_request(tmp_path, trials=1)
    folder = new_folder(request)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        logger = started(folder, "online")
        write_events(folder, request, [event("sweep_started"), *trial_events(1, [0.9, 0.8], origin="default")])
        note: Any = logger.end(folder)
    assert note.startswith("W&B could not be reached (")
    assert "so its runs are kept offline; W&B: 2 runs in" in note
    offline = [one for one in read_runs(folder.path / "wandb")["t0001"] if one.path.parent.name.startswith("offline")]
    assert offline[0].steps == [1, 2]

    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    publish(folder.path, project="speech")
    (default,) = ids(folder, "t0001")
    assert [row["objective"] for row in server.rows(default)] == [0.9, 0.8]
