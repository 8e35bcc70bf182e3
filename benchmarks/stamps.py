"""Moments that the sides of a comparison write down, and what a trial and an epoch cost by them."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """What a side is to do: written as JSON, its only argument."""

    data: str
    """The handle of prepared speech"""
    folder: str
    """Where it writes its stamps, and whatever else it writes"""
    trials: tuple[dict[str, object], ...]
    """Configs, as the trainer takes them"""
    epochs: int
    cores: int
    seed: int = 1

    @classmethod
    def read(cls, path: str) -> Task:
        """From a file."""
        given = json.loads(Path(path).read_text("utf-8"))
        return cls(**{**given, "trials": tuple(given["trials"])})

    def write(self) -> Path:
        """Into its folder."""
        path = Path(self.folder) / "task.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self)), "utf-8")
        return path

    def stamp(self, what: str, trial: str) -> None:
        """Write down that a trial begins (`trial`), has done an epoch (`epoch`) or ends (`end`); many processes may."""
        line = json.dumps({"what": what, "trial": trial, "time": time.time()}) + "\n"
        file = os.open(Path(self.folder) / "stamps.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)


@dataclass(frozen=True)
class Cost:
    """What a side's run came to, by its stamps."""

    wall: float
    trials: int
    epochs: int
    epoch_seconds: float
    """Median between two epochs of a trial; of the only epoch of each where there is but one"""
    start: float
    """From the command to the first trial's beginning"""
    close: float
    """From the last epoch to the command's end"""
    trial_seconds: float
    """All else, for each trial on its slot: starting it, ending it, waiting"""
    slots: int

    def scaled(self, trials: int, epochs: int) -> float:
        """Wall time of so many trials and epochs in all, if each costs what it did here."""
        return self.start + self.close + (trials * self.trial_seconds + epochs * self.epoch_seconds) / self.slots


def cost_of(folder: Path, begun: float, ended: float, slots: int) -> Cost:
    """Of the run that wrote its stamps into `folder`, between two moments of time.time()."""
    lines = [json.loads(line) for line in (folder / "stamps.jsonl").read_text("utf-8").splitlines()]
    epochs: dict[str, list[float]] = defaultdict(list)
    starts: dict[str, float] = {}
    for line in sorted(lines, key=lambda line: line["time"]):
        if line["what"] == "trial":
            starts.setdefault(line["trial"], line["time"])
        elif line["what"] == "epoch":
            epochs[line["trial"]].append(line["time"])
    between = [after - before for times in epochs.values() for before, after in pairwise(times)]
    alone = [times[0] - starts[trial] for trial, times in epochs.items() if times]
    epoch = statistics.median(between or alone)
    count = sum(map(len, epochs.values()))
    first, last = min(starts.values()), max(max(times) for times in epochs.values() if times)
    slots = min(slots, len(starts))
    rest = max(0.0, slots * (last - first) - count * epoch) / len(starts)
    return Cost(ended - begun, len(starts), count, epoch, first - begun, ended - last, rest, slots)
