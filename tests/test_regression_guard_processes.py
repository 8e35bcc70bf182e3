"""A sweep starts one worker a slot, however many trials it has, and of Ray only what it needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sweeps.common.budget import Budget
from sweeps.run.config import SweepConfig
from sweeps.run.progress import Display, Progress
from sweeps.search.options import SearchOptions
from sweeps.space.space_file import load_space
from sweeps.tuner import api as sweep


class Watching(Display):
    """Remembers what every process below this one was, each time something happens."""

    def __init__(self) -> None:
        self.seen: dict[int, str] = {}

    def update(self, progress: Progress) -> None:
        """Look; a process that was just born bears its parent's name, so the last name counts."""
        self.seen.update(below(os.getpid()))


def below(parent: int) -> Iterator[tuple[int, str]]:
    """Pid and command line of each descendant."""
    for children in Path(f"/proc/{parent}/task").glob("*/children"):
        found = ""
        with suppress(FileNotFoundError, ProcessLookupError):  # it may have ended by now
            found = children.read_text()
        for child in map(int, found.split()):
            with suppress(FileNotFoundError, ProcessLookupError):
                yield child, Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            yield from below(child)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells who the descendants are")
def test_all_trials_of_a_sweep_share_one_process_a_slot_and_ray_starts_only_what_it_needs(tmp_path):
    request = SweepConfig(
        search=SearchOptions(),
        name="processes",
        output=tmp_path,
        space=load_space("safe_weights"),
        trainer="tests.pid_trainer:PidTrainer",
        data="",
        budget=Budget(9, 3, None),
        concurrent=2,
        confirm_seeds=0,
    )
    watching = Watching()
    result = sweep.run(request, display=watching)
    pids = {report["pid"] for record in result.records for report in record.reports}
    assert len(result.records) == 9
    assert len(pids) <= 2
    commands = list(watching.seen.values())
    for server in ("gcs_server --log_dir", "raylet --raylet_socket", "ray::DashboardAgent", "ray::RuntimeEnvAgent"):
        assert sum(server in command for command in commands) == 1, server
    for unused in ("monitor.py", "dashboard.py"):
        assert not [words for words in map(str.split, commands) if any(word.endswith(unused) for word in words[:4])]
    workers = {pid for pid, command in watching.seen.items() if command.startswith("ray::") and "Agent" not in command}
    assert pids <= workers
    assert len(workers) <= 4, "a worker for each slot, and those that Ray starts with itself stand by"
