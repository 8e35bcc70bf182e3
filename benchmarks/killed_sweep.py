"""A sweep that benchmarks/kills.py kills and resumes: its trainer, its sessions, and what is checked of its files."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.processes import GONE_SECONDS, alive, end_now, family_of, wait_until_gone  # noqa: E402
from sweeps.common.strict_yaml import read_yaml_mapping  # noqa: E402
from sweeps.storage.checkpoint import load_checkpoint  # noqa: E402
from sweeps.trials.journal import read_events  # noqa: E402
from tests.toy_trainer import DEFAULTS, ToyTrainer  # noqa: E402

COMING_UP = 0.25  # of the sessions that a driver or session kill starts are hit before they train
TRIALS, EPOCHS, SLOW = 10, 9, 0.1
BALLAST = 4_000_000  # numbers: a checkpoint takes long enough to be hit
SESSION_SECONDS = 240.0
NAME = "killed"
REPORT = b'"event": "report"'


class NotingTrainer(ToyTrainer):
    """Notes each epoch that it finishes in its data folder, and has a state of some megabytes."""

    def __init__(self, params: Mapping[str, object], data: str, seed: int) -> None:
        super().__init__({**DEFAULTS, **params}, data, seed)
        self.ballast = np.random.default_rng(seed).normal(size=BALLAST)

    def train_epoch(self) -> Mapping[str, object]:
        """One epoch, noted as soon as it is done."""
        report = super().train_epoch()
        self.ballast[self.epoch] = self.generator.normal()
        key = " ".join(str(self.params[name]) for name in ("mel_loss_weight", "kl_loss_weight", "gradient_clip_norm"))
        with (Path(self.data) / "epochs.txt").open("a") as file:
            file.write(f"{key}|{self.epoch}\n")
        return report

    def state_dict(self) -> dict[str, object]:
        """With the ballast."""
        return {**super().state_dict(), "ballast": self.ballast}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from there."""
        super().load_state_dict(state)
        self.ballast = np.array(state["ballast"])


@dataclass
class Tally:
    """What came of one kind of kill."""

    kills: int = 0
    coming_up: int = 0
    half_written: int = 0
    torn_lines: int = 0
    epochs_again: int = 0
    slowest_end: float = 0.0
    violations: list[str] = field(default_factory=list)


class Victim:
    """One sweep that is killed and resumed until nothing of it is left to do."""

    def __init__(
        self, folder: Path, rng: random.Random, tallies: Mapping[str, Tally], say: Callable[[str], None]
    ) -> None:
        self.output = folder
        self.run = folder / NAME
        self.journal = self.run / "trials.jsonl"
        self.noted = folder / "epochs.txt"
        self._rng = rng
        self._tallies = tallies
        self._say = say
        self._log = folder / "log.txt"
        self._kind, self._known = "end", 0  # the newest kill, and how many epochs were noted then
        self._process: subprocess.Popen[bytes] | None = None
        self._leftovers: set[str] = set()  # half-written checkpoints of earlier kills
        self._reported = 0  # before the session that runs

    @property
    def running(self) -> bool:
        """Whether a session is left that the next kill can meet."""
        return self._process is not None

    def violated(self, kind: str, *problems: str) -> None:
        """Say and keep what should not have happened."""
        for problem in problems:
            self._tallies[kind].violations.append(f"{self.output.name}, {kind}: {problem}")
            self._say(f"VIOLATION {self._tallies[kind].violations[-1]}")

    def finish(self) -> None:
        """Let the sweep run to its end, and look at what it leaves."""
        process = self._process = self._process or self._start()
        try:
            code = process.wait(SESSION_SECONDS)
            if code != 0:
                self.violated("end", f"ended with exit code {code}: {self._last_words()}")
        except subprocess.TimeoutExpired:
            end_now(family_of(process.pid))
            self.violated("end", f"did not end within {SESSION_SECONDS:.0f} s: {self._last_words()}")
        self._process = None
        self._check_epochs()
        self.violated("end", *unreadable(self.run))
        left = sorted(path.name for path in self._half_written())
        self.violated("end", *(f"{name} was left in a trial's folder" for name in left))

    def stop(self) -> None:
        """End what runs, without a word on it."""
        if self._process is not None:
            end_now(family_of(self._process.pid))
            self._process.wait()
            self._process = None

    def kill(self, kind: str, part: float, of: int) -> bool:
        """Go on, kill after that part of what is left of so many reports, check; False where the sweep ended before."""
        tally = self._tallies[kind]
        coming_up = not self.running and kind in ("driver", "session") and self._rng.random() < COMING_UP
        process = self._process = self._process or self._start()
        whole = self._journal_lines()
        if not (self._while_it_comes_up(process) if coming_up else self._while_it_trains(process, part, of)):
            self._process = None
            if process.returncode != 0:
                self.violated(kind, f"ended by itself with {process.returncode}: {self._last_words()}")
            return False
        self._check_epochs()
        family = family_of(process.pid)
        if kind == "checkpoint":
            trainers = [pid for pid, name in family.items() if "TrialTrainable" in name]
            self._wait_for_a_write()
            end_now(trainers)
        moment = time.monotonic()
        if kind == "driver":
            end_now([process.pid])
        elif kind == "worker":
            family = {pid: name for pid, name in family.items() if "TrialTrainable" in name}
            end_now(family)
        elif kind == "ray":
            end_now([pid for pid, name in family.items() if "gcs_server" in name or "raylet/raylet" in name])
        else:
            end_now(family)
        self._process = process if kind == "worker" else None
        if kind != "worker":
            self._wait_for_the_end(process, kind)
        tally.kills += 1
        tally.coming_up += coming_up
        self._remember(kind)
        self._check_files(kind, whole)
        seconds = wait_until_gone(family, moment)
        tally.slowest_end = max(tally.slowest_end, seconds)
        if seconds > GONE_SECONDS:
            left = [name for pid, name in family.items() if alive(pid)]
            self.violated(kind, f"left running after {seconds:.0f} s: {left}")
        return True

    @property
    def reports(self) -> int:
        """Epochs that the journal holds."""
        return self._journal_lines().count(REPORT)

    def _start(self) -> subprocess.Popen[bytes]:
        """Begin the sweep, or go on with it."""
        self._reported = self.reports
        return subprocess.Popen(
            [sys.executable, str(ROOT / "run_sweep.py"), *self._arguments()],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._log.open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )

    def _arguments(self) -> list[str]:
        if (self.run / "sweep.yaml").exists():
            return ["resume", NAME, "--output", str(self.output), "--wandb", "off"]
        given = {
            "--space": "safe_weights", "--trainer": "benchmarks.killed_sweep:NotingTrainer", "--data": self.output,
            "--output": self.output, "--name": NAME, "--trials": TRIALS, "--epochs": EPOCHS, "--concurrent": 1,
            "--confirm-seeds": 0, "--wandb": "off", "--set": f"slow={SLOW}",
        }  # fmt: skip
        return [str(part) for pair in given.items() for part in pair]

    def _check_epochs(self) -> None:
        """Of what had been trained at the newest kill, only each trial's last epoch may have been trained again."""
        notes, tally = self._notes(), self._tallies[self._kind]
        done = {key: int(epoch) for key, epoch in map(_note, notes[: self._known])}
        seen: set[str] = set()
        for key, epoch in map(_note, notes[self._known :]):
            if key in done and key not in seen:
                again = max(done[key] - int(epoch) + 1, 0)
                tally.epochs_again += again
                if again > 1:
                    self.violated(self._kind, f"{again} finished epochs were trained again")
            seen.add(key)
        if seen:
            self._known = len(notes)

    def _remember(self, kind: str) -> None:
        self._kind, self._known = kind, len(self._notes())

    def _notes(self) -> list[str]:
        return self.noted.read_text().splitlines() if self.noted.exists() else []

    def _journal_lines(self) -> bytes:
        content = self.journal.read_bytes() if self.journal.exists() else b""
        return content[: content.rfind(b"\n") + 1]

    def _while_it_comes_up(self, process: subprocess.Popen[bytes]) -> bool:
        time.sleep(self._rng.uniform(0.5, 4.0))
        return process.poll() is None

    def _while_it_trains(self, process: subprocess.Popen[bytes], part: float, of: int) -> bool:
        """Wait until that part of what is left has been trained, with a report at least; False where it ended."""
        before = self.reports
        due = max(self._reported, before) + 1 + int(part * max(of - before, 0))
        end = time.monotonic() + SESSION_SECONDS
        while process.poll() is None and time.monotonic() < end:
            if self.reports >= due:
                time.sleep(self._rng.uniform(0.0, 2 * SLOW))
                return process.poll() is None
            time.sleep(0.01)
        if process.poll() is None:
            end_now(family_of(process.pid))
            process.wait()
        return False

    def _wait_for_the_end(self, process: subprocess.Popen[bytes], kind: str) -> None:
        try:
            code = process.wait(60)
            if kind == "ray" and code not in (0, 1):
                self.violated(kind, f"the driver ended with exit code {code}: {self._last_words()}")
        except subprocess.TimeoutExpired:
            self.violated(kind, "the driver did not end within 60 s")
            end_now(family_of(process.pid))
            process.wait()

    def _wait_for_a_write(self) -> None:
        """Look closely at the trial that runs: a write takes some hundredths of a second."""
        end = time.monotonic() + 5.0
        while time.monotonic() < end:
            newest = max((self.run / "checkpoints").iterdir(), default=None)
            looked = time.monotonic()
            while newest is not None and time.monotonic() < looked + 0.5:
                with contextlib.suppress(FileNotFoundError), os.scandir(newest) as entries:
                    if any(entry.name.endswith(".tmp") and entry.name not in self._leftovers for entry in entries):
                        return

    def _half_written(self) -> list[Path]:
        try:
            return list((self.run / "checkpoints").glob("*/.*.tmp"))
        except FileNotFoundError:  # a folder was tidied away meanwhile
            return []

    def _check_files(self, kind: str, whole: bytes) -> None:
        tally = self._tallies[kind]
        half_written = {path.name for path in self._half_written()}
        tally.half_written += bool(half_written - self._leftovers)
        self._leftovers |= half_written
        now = self.journal.read_bytes() if self.journal.exists() else b""
        tally.torn_lines += bool(now) and not now.endswith(b"\n")
        if not now.startswith(whole):
            self.violated(kind, "lines of the journal were lost")
        if not self.running:  # of a living one, files may go while they are looked at
            self.violated(kind, *unreadable(self.run))

    def _last_words(self) -> str:
        return " / ".join(self._log.read_text(errors="replace").strip().splitlines()[-3:])[-600:]


def unreadable(run: Path) -> list[str]:
    """Files of a run folder that cannot be read."""
    problems = []
    for path in sorted(path for path in run.rglob("*") if path.is_file() and not path.name.startswith(".")):
        try:
            if path.suffix == ".safetensors":
                load_checkpoint(path)
            elif path.name == "trials.jsonl":
                read_events(path)
            elif path.suffix == ".yaml":
                read_yaml_mapping(path)
            elif path.suffix == ".csv":
                rows = list(csv.DictReader(path.open(newline="")))
                assert all(None not in row and None not in row.values() for row in rows), "a row is torn"
            elif path.suffix == ".json" and run / "ray" not in path.parents:
                json.loads(path.read_text())
            elif path.suffix == ".db":
                with sqlite3.connect(path) as database:
                    assert database.execute("pragma integrity_check").fetchone() == ("ok",)
                database.close()
            elif path.suffix == ".html":
                assert path.read_text().rstrip().endswith("</html>"), "the page is torn"
        except Exception as error:
            problems.append(f"{path.relative_to(run)} cannot be read: {type(error).__name__}: {error}")
    return problems


def _note(line: str) -> tuple[str, str]:
    key, _, epoch = line.partition("|")
    return key, epoch
