"""The trainer that runs a program: epochs from three kinds of logs, replay, resume, and programs that go wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.common.errors import RequestError
from sweeps.external.epochs import closed_epochs
from sweeps.external.program import ProgramError
from sweeps.external.spec import load_spec
from sweeps.external.trainer import ExternalTrainer, bound
from sweeps.trainer import TrialContext
from tests import ROOT

FIXTURE = ROOT / "tests" / "trainers_fixture"
GUISES = ("stdout", "csv", "tensorboard")
Start = Callable[..., ExternalTrainer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Makes trainers of the fixture, and closes them in the end."""
    started: list[ExternalTrainer] = []

    def started_trainer(
        guise: str = "tensorboard", params: Mapping[str, object] | None = None, epochs: int = 3, **changes: Any
    ) -> ExternalTrainer:
        overrides = {key.replace("__", "."): value for key, value in changes.items()}
        trainer = bound(load_spec(str(FIXTURE / f"{guise}.yaml"), overrides))(params or {}, "", 7)
        folder = tmp_path / f"trial{len(started)}"
        folder.mkdir()
        trainer.start(TrialContext("t0001", epochs, threads=1, folder=folder))
        started.append(trainer)
        return trainer

    yield started_trainer
    for trainer in started:
        trainer.close()


def objectives(trainer: ExternalTrainer, epochs: int = 3) -> list[float]:
    return [float(str(trainer.train_epoch()["objective"])) for _ in range(epochs)]


def misbehaving(kind: str) -> dict[str, Any]:
    """Settings that let the JSON guise misbehave."""
    return {"set.train.misbehave": kind}


def alive(word: str) -> list[int]:
    """Processes whose command line holds the word."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if word.encode() in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_three_guises_give_the_same_objectives(start: Start) -> None:
    curves = [objectives(start(guise)) for guise in GUISES]
    assert np.allclose(curves[0], curves[1], rtol=0, atol=0)
    assert np.allclose(curves[0], curves[2], rtol=1e-6, atol=0)  # TensorBoard keeps float32


def test_weights_14_apart_give_the_same_raw_values_at_the_first_step(start: Start) -> None:
    first = []
    for weight in (10.0, 140.0):
        trainer = start(params={"mel_w": weight})
        objectives(trainer, 1)
        point = next(point for point in trainer.metrics.points() if point.tag == "train/mel")
        assert point.step == 0
        first.append(point.value / weight)
    assert first[0] == pytest.approx(first[1], rel=1e-6)


def test_an_epoch_is_reported_with_all_its_terms_joined_by_step(start: Start) -> None:
    report = start().train_epoch()
    assert {"objective", "val/kl", "train/mel", "train/grad_norm"} <= set(report)
    assert "diverged" not in report


def test_a_replay_gives_the_same_epochs_and_says_so(start: Start) -> None:
    straight = objectives(start())
    first = start()
    begun = objectives(first, 2)
    state = first.state_dict()
    first.close()
    second = start()
    second.load_state_dict(state)
    report = second.train_epoch()
    assert [*begun, report["objective"]] == straight
    assert (report["resume/replayed"], report["resume/difference"]) == (2, 0.0)


def test_a_replay_that_comes_out_differently_says_by_how_much(start: Start) -> None:
    trainer = start()
    trainer.load_state_dict({"objectives": [2.0, 2.0], "folder": "", "command": []})
    assert float(str(trainer.train_epoch()["resume/difference"])) > 0.1


@pytest.mark.parametrize("guise", ["csv", "tensorboard"])
def test_the_trainers_own_resume_goes_on_in_the_same_folder(tmp_path: Path, guise: str) -> None:
    folder = tmp_path / "trial"
    folder.mkdir()
    resume = {"resume": {"args": ["--resume-from", "{newest:**/state.pt}"], "exact": False}}
    spec = load_spec(str(FIXTURE / f"{guise}.yaml"), {**resume, "set.train.epochs": 2})

    def trainer(attempt: int) -> ExternalTrainer:
        made = bound(spec)({}, "", 7)
        made.start(TrialContext("t0001", 4, folder=folder, attempt=attempt))
        return made

    first = trainer(1)
    begun = objectives(first, 2)
    assert first._program is not None
    first._program.process.wait(20)
    first.close()
    if guise == "csv":  # a trainer that deletes its log when it resumes
        (folder / "work" / "logs" / "metrics.csv").unlink()
    spec = load_spec(str(FIXTURE / f"{guise}.yaml"), {**resume, "set.train.epochs": 4})
    second = trainer(2)
    second.load_state_dict({"objectives": begun, "folder": str(folder / "work"), "command": []})
    report = second.train_epoch()
    assert report["resume/inexact"] == 1
    assert "resumed after epoch 2" in (folder / "output-2.log").read_text()
    third = float(str(report["objective"]))
    second.close()
    straight = bound(load_spec(str(FIXTURE / f"{guise}.yaml")))({}, "", 7)
    straight.start(TrialContext("t", 4, folder=tmp_path))
    assert third == pytest.approx(objectives(straight, 3)[2], rel=1e-6)
    straight.close()


def test_a_crash_ends_the_trial_with_its_last_lines(start: Start) -> None:
    trainer = start(**misbehaving("crash"))
    objectives(trainer, 1)
    with pytest.raises(ProgramError, match=r"ended \(exit code 1\) after 1 of 3 epochs; .*RuntimeError: CUDA error"):
        trainer.train_epoch()


def test_logs_that_the_program_deletes_are_known_already(start: Start, tmp_path: Path) -> None:
    trainer = start(**{**misbehaving("crash-delete"), "set.train.sleep": 0.6})
    objectives(trainer, 1)
    with pytest.raises(ProgramError, match="CUDA error"):
        trainer.train_epoch()
    assert not list((tmp_path / "trial0" / "work").glob("events*"))
    assert "val/mel" in (tmp_path / "trial0" / "points.jsonl").read_text()


def test_a_hang_ends_the_trial_after_its_timeout_and_leaves_no_process(start: Start, tmp_path: Path) -> None:
    trainer = start(**{**misbehaving("hang"), "timeouts.epoch": "2s"})
    objectives(trainer, 1)
    with pytest.raises(
        ProgramError, match=r"no epoch 2 within 2 s \(timeouts.epoch\); it printed last: waiting for a lock"
    ):
        trainer.train_epoch()
    trainer.close()
    assert alive(str(tmp_path)) == []


def test_a_silent_program_is_told_from_one_that_logs_other_tags(start: Start) -> None:
    with pytest.raises(
        ProgramError, match=r"after 0 of 3 epochs; no 'val/mel' was logged in tensorboard .*\(0 files\)"
    ):
        start(**misbehaving("silent")).train_epoch()
    with pytest.raises(ProgramError, match=r"no 'val/mell' was logged in tensorboard .*, but val/mel"):
        start(epoch__tag="val/mell").train_epoch()
    with pytest.raises(ProgramError, match="epoch 1 has no value of 'val/melody', which the objective needs; logged: "):
        start(report__objective="val/melody").train_epoch()


def test_nan_is_a_divergence_with_its_term(start: Start) -> None:
    trainer = start(params={"mel_w": 90.0}, **misbehaving("nan"))
    objectives(trainer, 1)
    diverged = trainer.train_epoch()["diverged"]
    assert isinstance(diverged, dict)
    assert (diverged["term"], diverged["value"]) == ("objective", "nan")


def test_a_program_that_ends_early_with_code_0_has_not_trained_to_the_end(start: Start) -> None:
    trainer = start(**misbehaving("stop_early"))
    objectives(trainer, 2)
    with pytest.raises(ProgramError, match=r"ended \(exit code 0\) after 2 of 3 epochs"):
        trainer.train_epoch()


@pytest.mark.parametrize("kind", ["exit0_on_term", "ignore_term"])
def test_closing_ends_the_program_whatever_it_does_with_the_signal(start: Start, tmp_path: Path, kind: str) -> None:
    trainer = start(epochs=100, **{**misbehaving(kind), "set.train.sleep": 0.5, "stop.wait": "1s"})
    objectives(trainer, 1)
    assert alive(str(tmp_path))
    trainer.close()
    assert alive(str(tmp_path)) == []


def test_a_program_that_runs_ahead_is_reported_epoch_by_epoch(start: Start) -> None:
    straight = objectives(start(), 2)
    trainer = start(epochs=2, set__train__epochs=40)
    first = trainer.train_epoch()
    end = time.monotonic() + 60
    while closed_epochs(trainer.metrics.points(), "val/mel") < 10 and time.monotonic() < end:
        time.sleep(0.05)
        trainer.metrics.poll()
    assert closed_epochs(trainer.metrics.points(), "val/mel") >= 10
    assert trainer.state_dict()["objectives"] == straight[:1]  # a stop here counts one epoch, whatever was trained
    assert [first["objective"], trainer.train_epoch()["objective"]] == straight
    trainer.close()


def test_two_trials_of_one_minute_do_not_share_what_is_named_by_the_minute(start: Start, tmp_path: Path) -> None:
    dated = {"set.+train.dated": True}
    trainers = [start(params={"mel_w": weight}, **dated) for weight in (20.0, 90.0)]
    together = [[float(str(trainer.train_epoch()["objective"])) for trainer in trainers] for _ in range(3)]
    names = [{path.name for path in (tmp_path / f"trial{n}" / "work").glob("run-*")} for n in range(2)]
    assert all(len(found) == 1 for found in names)
    alone = [objectives(start(params={"mel_w": weight})) for weight in (20.0, 90.0)]
    assert [list(curve) for curve in zip(*together, strict=True)] == alone


def test_large_files_go_at_the_end_and_a_folder_that_grows_too_large_ends_its_trial(
    start: Start, tmp_path: Path
) -> None:
    trainer = start(**{**misbehaving("big"), "keep": ["checkpoint_3.bin"]})
    objectives(trainer)
    trainer.close()
    assert [path.name for path in (tmp_path / "trial0" / "work").glob("*.bin")] == ["checkpoint_3.bin"]
    grows = start(epochs=500, **{**misbehaving("big"), "set.train.sleep": 0.2, "disk": "10MB"})
    with pytest.raises(ProgramError, match=r"its folder holds .* GB, more than the spec's disk, 0.01 GB"):
        objectives(grows, 500)


def test_a_missing_program_is_named_before_anything_starts(tmp_path: Path) -> None:
    for overrides, said in (
        ({"python": "/no/such/python"}, "/no/such/python: there is no such program; --set python=PATH"),
        ({"command": ["no-such-trainer", "{config}"]}, "no-such-trainer: there is no such program"),
        ({"command": ["{python}", "gone.py", "{config}"]}, "gone.py: there is no such script"),
    ):
        trainer = bound(load_spec(str(FIXTURE / "csv.yaml"), overrides))
        with pytest.raises(RequestError, match=said):
            trainer.prepare(None, None)


def test_data_that_a_spec_uses_must_be_given_and_exist(tmp_path: Path) -> None:
    trainer = bound(load_spec(str(FIXTURE / "csv.yaml"), {"env.DATA": "{data}"}))
    with pytest.raises(RequestError, match="--data: trainer fixture-csv needs a folder"):
        trainer.prepare(None, None)
    with pytest.raises(RequestError, match="there is no such folder"):
        trainer.prepare(str(tmp_path / "gone"), None)
    assert trainer.prepare(str(tmp_path), None).data == str(tmp_path)


def test_seeds_reach_libraries_of_a_program_that_does_not_seed_itself(start: Start) -> None:
    unseeded = {"command": ["{python}", "train.py", "--config", "{config}", "--unseeded"], "set.+train.unseeded": True}
    assert objectives(start(**unseeded), 1) != objectives(start(**unseeded), 1)
    seeded = {**unseeded, "seed_first": True}
    assert objectives(start(**seeded), 1) == objectives(start(**seeded), 1)


@pytest.mark.parametrize("victim", ["worker", "supervisor"])
def test_the_program_dies_with_the_worker_and_with_its_supervisor(tmp_path: Path, victim: str) -> None:
    script = (
        "import signal, sys, time\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n"  # as Ray's workers do
        "from pathlib import Path\n"
        "from sweeps.external.process import TrainerProcess\n"
        "p = TrainerProcess(['bash', '-c', 'grep SigBlk /proc/self/status; sleep 1000 & sleep 1001'],"
        f" environment={{}}, cwd=Path('/'), output=Path({str(tmp_path / 'log')!r}))\n"
        "print(p.group, p._supervisor.pid, flush=True)\ntime.sleep(1000)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert worker.stdout is not None
    group, supervisor = map(int, worker.stdout.readline().split())
    end = time.monotonic() + 20
    while "SigBlk" not in (tmp_path / "log").read_text() and time.monotonic() < end:
        time.sleep(0.05)
    assert int((tmp_path / "log").read_text().split()[1], 16) & (1 << (signal.SIGINT - 1)) == 0
    os.kill(worker.pid if victim == "worker" else supervisor, signal.SIGKILL)
    while Path(f"/proc/{group}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{group}").exists()
    worker.kill()
    worker.wait()
    worker.stdout.close()
