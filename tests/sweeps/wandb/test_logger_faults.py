"""Sweeps that do not depend on whether W&B works: what fails costs a line, and no event."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeps.backend.session import ray_session
from sweeps.run.logger import Loggers
from sweeps.run.resources import Machine, plan_resources
from sweeps.run.run import Run, read_run
from sweeps.trials.journal import read_events
from sweeps.tuner.api import resume, run
from sweeps.wandb import Sample, WandbLogger
from tests.sweeps.builders import toy_request, trial_events
from tests.sweeps.wandb.wandb_files import read_runs
from tests.sweeps.wandb.wandb_runs import SECONDS, event, fake_wandb, new_folder, started, write_events


def children(folder: Path) -> set[str]:
    """Processes of W&B that were started for a run in this folder and are still running."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"WANDB_DATA_DIR={folder.resolve()}".encode() in path.read_bytes():
                found.add(path.parent.name)
        except OSError:
            continue
    return found


def test_a_record_that_cannot_be_started_costs_one_line_and_stops_no_sweep(tmp_path: Path) -> None:
    folder = new_folder(toy_request(tmp_path))
    (folder.path / "wandb").mkdir()
    (folder.path / "wandb" / "destination.json").write_text("{")
    lines: list[str] = []
    Loggers([WandbLogger("offline", project="speech")], lines.append).start(folder)
    (line,) = lines
    assert line.startswith("WandbLogger is switched off: ")
    assert "destination.json: is damaged" in line


DEAD = {
    "raises": "def init(**given):\n    raise RuntimeError('no luck today')\n",
    "hangs": "def init(**given):\n    time.sleep(1000)\n",
    "cannot be imported": "raise ImportError('half of wandb is missing')\n",
    "dies": "import os\ndef init(**given):\n    os._exit(3)\n",
}


SAID = {
    "raises": "W&B failed for 3 trials and was given up (t0003: RuntimeError: no luck today)",
    "hangs": "W&B did not answer within 2 s",
    "cannot be imported": "W&B's process ended early (ImportError: half of wandb is missing)",
    "dies": "W&B's process ended early (exit code 3)",
}


@pytest.mark.parametrize("how", list(DEAD))
def test_a_dead_wandb_costs_no_event_and_no_time_but_one_line(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = toy_request(tmp_path, trials=6)
    folder = new_folder(request)
    monkeypatch.setenv("PYTHONPATH", str(fake_wandb(tmp_path / "fake", DEAD[how] + "\ndef teardown():\n    pass\n")))
    seconds = 2.0 if how == "hangs" else SECONDS
    begun = time.monotonic()
    logger = started(folder, seconds=seconds)
    write_events(
        folder, request, [one for number in range(1, 7) for one in trial_events(number, [0.9, 0.8], origin="sobol")]
    )
    assert time.monotonic() - begun < 5.0
    assert how != "hangs" or children(tmp_path)
    before = time.monotonic()
    note = logger.end(folder)
    assert note is not None
    assert note.startswith(f"{SAID[how]}; the sweep itself is whole")
    if how == "hangs":
        assert time.monotonic() - before < 5.0
    assert len(read_events(folder.trials_jsonl)) == 24
    assert not children(tmp_path)


def test_a_slow_wandb_finishes_alone_after_a_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = toy_request(tmp_path, trials=1)
    folder = new_folder(request)
    slow = "def init(**given):\n    time.sleep(1000)\ndef teardown():\n    pass\n"
    monkeypatch.setenv("PYTHONPATH", str(fake_wandb(tmp_path / "fake", slow)))
    logger = started(folder, seconds=2.0)
    write_events(folder, request, trial_events(1, [0.9, 0.8]))
    before = time.monotonic()
    note = logger.end(folder, wait=False)
    assert note is not None
    assert note.startswith("W&B: the record is being finished in ")
    assert time.monotonic() - before < 1.0
    end = time.monotonic() + 10.0
    while children(tmp_path) and time.monotonic() < end:
        time.sleep(0.1)
    assert not children(tmp_path)


PARTLY_BROKEN = """
from contextlib import contextmanager
from io import StringIO
class Run:
    offline, sync_dir = True, '.'
    def __init__(self, name, folder): self.name, self.folder, self.summary = name, folder, {}
    def define_metric(self, *names, **more): pass
    def log_artifact(self, artifact): pass
    def log(self, row, **more):
        if self.name == 't0002': raise OSError('log is broken')
    def finish(self, exit_code=0):
        with open(self.folder / 'finished.txt', 'a') as file: file.write(self.name + ' ')
class Artifact:
    def __init__(self, *given): pass
    @contextmanager
    def new_file(self, name, **more): yield StringIO()
def Table(**given): return None
def init(**given): return Run(given['name'], given['dir'])
def teardown(): pass
"""


def test_a_trial_whose_run_fails_is_passed_over_and_the_others_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = toy_request(tmp_path, trials=3)
    folder = new_folder(request)
    monkeypatch.setenv("PYTHONPATH", str(fake_wandb(tmp_path / "fake", PARTLY_BROKEN)))
    logger = started(folder)
    write_events(folder, request, [one for number in (1, 2, 3) for one in trial_events(number, [0.9, 0.8])])
    note = logger.end(folder)
    assert note is not None
    assert note.startswith("W&B failed for 1 of 3 trials (t0002: OSError: log is broken)")
    assert (folder.path / "finished.txt").read_text().split() == ["t0001", "t0003", "toy"]


def test_samples_that_cannot_be_made_cost_one_line_and_no_record(tmp_path: Path) -> None:
    def broken(run: Run, pictures: Path) -> list[Sample]:
        raise ValueError("the vocoder\nis missing")

    request = toy_request(tmp_path, trials=1)
    folder = new_folder(request)
    logger = started(folder, samples=broken)
    write_events(folder, request, trial_events(1, [0.9, 0.8], origin="default"))
    note = logger.close(read_run(folder.path))
    assert note is not None
    assert note.startswith("W&B gets no samples: ValueError: the vocoder is missing; W&B: 2 runs in ")
    assert read_runs(folder.path / "wandb")["t0001"][0].summary["objective"] == 0.8


def test_a_killed_sweep_leaves_readable_runs_and_no_process(tmp_path: Path) -> None:
    request = toy_request(tmp_path, trials=2)
    folder = new_folder(request)
    write_events(folder, request, [event("sweep_started")])
    code = f"""
import os, signal, time
from pathlib import Path
from sweeps.run.resources import Machine, plan_resources
from sweeps.backend.session import ray_session
from sweeps.run.folder import RunFolder
from sweeps.wandb import WandbLogger
from tests.sweeps.builders import toy_request, trial_events
from tests.sweeps.wandb.wandb_runs import write_events
folder = RunFolder(Path({str(folder.path)!r}))
WandbLogger("offline", project="speech").start(folder)
write_events(folder, toy_request(folder.path.parent), trial_events(1, [0.9, 0.8], None))
while not list(folder.path.glob("wandb/*/*.wandb")):
    time.sleep(0.1)
time.sleep(1.0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    (tmp_path / "t").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code], timeout=90, check=False, env={**os.environ, "TMPDIR": str(tmp_path / "t")}
    )
    assert done.returncode == -9
    deadline = time.monotonic() + 60
    while children(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not children(tmp_path)
    (one,) = read_runs(folder.path / "wandb")["t0001"]
    assert one.steps == [1, 2]
    assert one.summary["status"] == "running"
    assert not list((tmp_path / "t").iterdir())


@pytest.mark.slow
def test_trials_of_a_real_sweep_continue_and_end_on_time_while_wandb_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def timed(work: Callable[[], Any]) -> float:
        before = time.monotonic()
        work()
        return time.monotonic() - before

    with ray_session(plan_resources(Machine(2, 1 << 34, 0), 2)):
        first = run(toy_request(tmp_path, trials=1, epochs=2))
        alone = timed(lambda: resume(first.folder.path, trials=3))
        monkeypatch.setenv("PYTHONPATH", str(fake_wandb(tmp_path / "fake", DEAD["hangs"])))
        logger = started(first.folder, seconds=2.0)
        judged = timed(lambda: resume(first.folder.path, trials=5))
    assert timed(lambda: logger.end(first.folder)) < 5.0
    ended = read_events(first.folder.trials_jsonl)
    assert len([one for one in ended if one["event"] == "trial_ended"]) == 5
    assert judged < alone + 15.0
