"""optuna-dashboard, really started on an optuna.db and asked over its HTTP API on the loopback."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import pytest

from sweeps.run.optuna_db import write_optuna_db
from sweeps.space.space_file import load_space
from tests.sweeps.builders import trial

PROGRAM = Path(sys.executable).with_name("optuna-dashboard")

pytestmark = [
    pytest.mark.skipif(not PROGRAM.exists(), reason="optuna-dashboard is an optional package"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the dashboard tells of the one study in a run's optuna.db."""
    path = tmp_path_factory.mktemp("run") / "optuna.db"
    records = [
        trial(1, [0.9, 0.5, 0.6], "finished", origin="default"),
        trial(2, [0.95], "stopped", reason="0.95 at epoch 1"),
        trial(3, [0.8, math.nan], "diverged", reason="mel is nan at step 7"),
        trial(4, [], "failed"),
        trial(5, [0.7], None),
        trial(6, [0.7, 0.65], "budget"),
    ]
    write_optuna_db(path, "mine", load_space("safe_weights"), records)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(PROGRAM), f"sqlite:///{path}", "--host", "127.0.0.1", "--port", str(port), "--quiet"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        api = f"http://127.0.0.1:{port}/api"
        (summary,) = _answer(f"{api}/studies", process)["study_summaries"]
        yield summary | _answer(f"{api}/studies/{summary['study_id']}?after=0", process)
    finally:
        process.kill()
        process.wait()


def _answer(url: str, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    until = time.monotonic() + 60
    while True:
        try:
            with build_opener(ProxyHandler({})).open(url, timeout=30) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except URLError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.1)


def test_the_dashboard_shows_every_trial_with_its_state(study: dict[str, Any]) -> None:
    assert (study["study_name"], study["directions"]) == ("mine", ["minimize"])
    assert [one["state"] for one in study["trials"]] == ["Complete", "Pruned", "Pruned", "Fail", "Running", "Pruned"]
    attributes = [{entry["key"]: entry["value"].strip('"') for entry in one["user_attrs"]} for one in study["trials"]]
    assert [one["trial_id"] for one in attributes] == [f"t000{number}" for number in range(1, 7)]
    assert [one["status"] for one in attributes] == ["finished", "stopped", "diverged", "failed", "running", "budget"]
    assert attributes[2]["stop_reason"] == "mel is nan at step 7"


def test_the_dashboard_shows_values_by_epoch_and_parameters(study: dict[str, Any]) -> None:
    by_epoch = [{one["step"]: one["value"] for one in each["intermediate_values"]} for each in study["trials"]]
    assert by_epoch == [{1: 0.9, 2: 0.5, 3: 0.6}, {1: 0.95}, {1: 0.8}, {}, {1: 0.7}, {1: 0.7, 2: 0.65}]
    assert study["trials"][0]["values"] == [0.5]
    params = {one["name"]: one["param_internal_value"] for one in study["trials"][0]["params"]}
    assert params == {"mel_loss_weight": 1.1, "kl_loss_weight": 1.0, "gradient_clip_norm": 0.5}
    assert study["best_trials"][0]["number"] == 0
