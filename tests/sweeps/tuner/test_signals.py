"""Ctrl-C and SIGTERM at awkward moments: to the driver alone, to everything at once, early and late."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from benchmarks.processes import alive, family_of
from sweeps.run.folder import RunFolder
from sweeps.run.run import Run, SweepResult
from sweeps.trials.journal import read, read_events
from sweeps.tuner.api import plan_for
from tests import ROOT
from tests.sweeps.builders import TOY, toy_request, trial
from tests.toy_trainer import ToyTrainer
from xtts_sweep.closing import close

SECONDS = 10.0 * (1 + ("PYTEST_XDIST_WORKER" in os.environ))  # other tests run next to this one
SECRETS = {"WANDB_API_KEY": "c0ffee" * 6 + "beef", "MY_TOKEN": "hopefully-not-written"}


class SlowToExport(ToyTrainer):
    """Takes very long over best/, unless it was told that somebody cannot wait."""

    def export_best(self, folder: Path) -> None:
        hurry = Path(self.data) / "hurry"
        if not hurry.exists():
            hurry.touch()
            time.sleep(600)
        super().export_best(folder)


def start(output: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run_sweep.py"), *map(str, arguments), "--output", str(output)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, **SECRETS},
    )


def sweep(output: Path, trainer: str = TOY, **changes: object) -> subprocess.Popen[str]:
    options: Mapping[str, object] = {
        "trainer": trainer, "data": output, "name": "toy", "trials": 3, "epochs": 4, "concurrent": 1, "wandb": "off",
        "confirm-seeds": 0, "set": "slow=0.5",
    } | changes  # fmt: skip
    return start(output, *(part for name, value in options.items() for part in (f"--{name}", value)))


def wait_for(what: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if what():
            return
        time.sleep(0.05)
    raise AssertionError(process.communicate(timeout=10)[0])


def output_after(process: subprocess.Popen[str], tell: Callable[[], None]) -> str:
    """What the command said after it was told to end, in time and with nothing left running."""
    family = family_of(process.pid)
    begun = time.monotonic()
    tell()
    out, _ = process.communicate(timeout=60)
    seconds = time.monotonic() - begun
    assert process.returncode == 130, out
    assert "Traceback" not in out
    assert seconds < SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), out
    end = time.monotonic() + 15
    while any(alive(pid) for pid in family) and time.monotonic() < end:
        time.sleep(0.1)
    assert [name for pid, name in family.items() if alive(pid)] == []
    return out


def finished(output: Path) -> dict[str, object]:
    """What a resume that comes to the end says in JSON."""
    resumed = start(output, "resume", "toy", "--wandb", "off", "--json")
    out, _ = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, out
    told_as_json: dict[str, object] = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
    return told_as_json


def events_of(output: Path, kind: str) -> int:
    journal = output / "toy" / "trials.jsonl"
    return sum(event["event"] == kind for event in read_events(journal)) if journal.exists() else 0


@pytest.mark.slow
def test_a_sweep_that_is_told_to_end_while_ray_starts_ends_with_its_resume_line(tmp_path: Path) -> None:
    process = sweep(tmp_path)
    wait_for(lambda: any("gcs_server" in name for name in family_of(process.pid).values()), process)
    out = output_after(process, lambda: process.send_signal(signal.SIGTERM))
    assert "python run_sweep.py resume toy" in out
    assert read_events(tmp_path / "toy" / "trials.jsonl")[-1]["reason"] == "interrupted"


@pytest.mark.slow
def test_a_ctrl_c_that_reaches_all_processes_at_once_ends_the_sweep_like_one_to_the_driver(tmp_path: Path) -> None:
    process = sweep(tmp_path, wandb="offline")
    wait_for(lambda: events_of(tmp_path, "report"), process)

    def as_a_terminal_does() -> None:
        for pid in family_of(process.pid):
            os.kill(pid, signal.SIGINT)

    out = output_after(process, as_a_terminal_does)
    assert "python run_sweep.py resume toy" in out
    (record,) = read(tmp_path / "toy" / "trials.jsonl")
    assert (record.status, record.retries) == (None, 0)
    files = [path for path in (tmp_path / "toy").rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    for secret in SECRETS.values():
        assert [path for path in files if secret.encode() in path.read_bytes()] == []


@pytest.mark.slow
def test_a_confirmation_that_is_told_to_end_goes_on_with_its_seeds(tmp_path: Path) -> None:
    process = sweep(tmp_path, trials=2, epochs=2, **{"confirm-seeds": 2})
    wait_for(lambda: events_of(tmp_path, "report") > 4, process)
    out = output_after(process, lambda: process.send_signal(signal.SIGTERM))
    assert "python run_sweep.py resume toy" in out
    (ended,) = [event for event in read_events(tmp_path / "toy" / "trials.jsonl") if event["event"] == "confirm_ended"]
    assert ended["reason"] == "interrupted"
    assert finished(tmp_path)["verdict"] is not None
    started = [record.label for record in read(tmp_path / "toy" / "trials.jsonl") if record.role == "confirm"]
    assert len(started) == 4


@pytest.mark.slow
def test_a_sweep_that_is_told_to_end_while_it_writes_its_last_files_ends_at_once_and_can_be_resumed(
    tmp_path: Path,
) -> None:
    process = sweep(tmp_path, "tests.sweeps.tuner.test_signals:SlowToExport", trials=1, epochs=1)
    wait_for((tmp_path / "hurry").exists, process)
    out = output_after(process, lambda: process.send_signal(signal.SIGINT))
    assert "python run_sweep.py resume toy" in out
    assert finished(tmp_path)["ended"] == "finished"
    assert (tmp_path / "toy" / "best" / "toy.txt").exists()


def test_a_ctrl_c_while_the_findings_are_put_into_words_leaves_the_words_and_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [trial(1, [0.5, 0.4], origin="default")]
    config = toy_request(tmp_path)
    result = SweepResult(
        Run(RunFolder(tmp_path / "toy"), config, plan_for(config), (), records), "finished", "all", 1.0
    )
    monkeypatch.setattr("xtts_sweep.integration.closing_findings", lambda run, lang: signal.raise_signal(signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start without it
    try:
        assert close(result, as_json=False, lang="en") == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "python run_sweep.py resume toy" in capsys.readouterr().out


STUCK = """
import signal, sys, time
from sweeps.tuner.signals import SignalHandler
handler = SignalHandler(lambda: None, 0.5, lambda reason: print(reason, "resume with", flush=True))
with handler.caught():
    print("ready", flush=True)
    for _ in range(100):
        time.sleep(0.1)
"""


@pytest.mark.parametrize("twice", [False, True])
def test_a_ctrl_c_ends_the_process_in_time_whatever_it_waits_for(twice: bool) -> None:
    process = subprocess.Popen([sys.executable, "-c", STUCK], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    if twice:
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=8)
    assert (process.returncode, out) == (130, "interrupted by SIGINT resume with\n")
    assert time.monotonic() - begun < 2.0


LOST = """
import signal, sys, time
from sweeps.tuner.signals import SignalHandler

class Finalised:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        time.sleep(0)

handler = SignalHandler(lambda: None)
with handler.caught():
    handler.raise_from_now()
    try:
        Finalised()
        for _ in range(100):
            time.sleep(0.02)
        print("lost")
    except KeyboardInterrupt:
        print("raised", handler.reason)
"""


def test_a_ctrl_c_in_a_finaliser_of_a_library_is_neither_lost_nor_printed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOST], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("raised interrupted by SIGINT\n", "")


@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_ends_a_sweep_as_ctrl_c_does_unless_nohup_says_otherwise(ignored: bool) -> None:
    start = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_{'IGN' if ignored else 'DFL'})\n"
    code = start + STUCK.replace("range(100)", "range(12)") + "\nprint('went on')"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=30)
    expected = (0, "went on\n") if ignored else (130, "interrupted by SIGHUP resume with\n")
    assert (process.returncode, out) == expected
