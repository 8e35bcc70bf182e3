"""Ray's private names that are touched are there and do what is expected: a Ray that changes them fails here."""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.backend.ray_patches import (
    NEEDED,
    UNUSED,
    dead_servers,
    found_address,
    head_answers,
    session_folder,
    while_ray_starts,
)
from tests import ROOT


def test_ray_sets_its_sigterm_handler_by_the_function_that_is_replaced() -> None:
    from ray._private import node, utils, worker

    for module in (node, worker):
        assert "_private.utils.set_sigterm_handler(" in inspect.getsource(module)

    def ours(number: int, frame: object) -> None:
        """Ours."""

    before = signal.signal(signal.SIGTERM, ours)
    try:
        with while_ray_starts():
            utils.set_sigterm_handler(lambda number, frame: None)
            assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, before)


SHUTDOWN = """
import signal
import ray
from ray._private import node
from sweeps.backend.ray_patches import while_ray_ends, while_ray_starts

def caught():
    lines = open("/proc/self/status").read().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return bool(mask >> (signal.SIGTERM - 1) & 1)

def ours(number, frame):
    pass

signal.signal(signal.SIGTERM, ours)
with while_ray_starts():
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
end = node.Node.kill_all_processes
node.Node.kill_all_processes = lambda self, **options: (print("ending", caught()), end(self, **options))
with while_ray_ends():
    ray.shutdown()
print("ended", caught(), signal.getsignal(signal.SIGTERM) is ours)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux which signals are caught")
def test_a_sigterm_is_caught_while_ray_ends_although_ray_takes_its_handler_away() -> None:
    done = subprocess.run([sys.executable, "-c", SHUTDOWN], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-2:] == ["ending True", "ended True True"], done.stdout + done.stderr


def test_the_servers_that_are_left_out_are_started_by_the_methods_that_are_replaced() -> None:
    from ray._private import node

    started = [name for name in UNUSED if f"self.{name}(" in inspect.getsource(node.Node)]
    assert started == list(UNUSED)


def test_ray_notes_the_command_line_by_the_function_that_is_replaced() -> None:
    from ray._private import utils, worker

    assert "get_entrypoint_name()" in inspect.getsource(worker)
    with while_ray_starts():
        assert isinstance(utils.get_entrypoint_name(), str)


def test_ray_tune_asks_for_the_session_folder_by_the_function_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    from ray.train._internal import storage

    theirs = storage._get_ray_train_session_dir
    with session_folder():
        assert storage._get_ray_train_session_dir is theirs
    monkeypatch.setattr(ray.util.client.ray, "is_connected", lambda: True)
    with session_folder():
        assert storage._get_ray_train_session_dir() != ""
    assert "_get_ray_train_session_dir()" in inspect.getsource(storage)


def test_a_dead_server_is_noticed_and_other_processes_are_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import node, worker

    assert dead_servers() == []
    dead: list[Any] = [("log_monitor", None), ("raylet", None)]
    monkeypatch.setattr(worker, "_global_node", SimpleNamespace(dead_processes=lambda: dead))
    assert dead_servers() == ["raylet"]
    assert "dead_processes" in vars(node.Node)
    from ray._private import ray_constants

    assert {ray_constants.PROCESS_TYPE_GCS_SERVER, ray_constants.PROCESS_TYPE_RAYLET} == set(NEEDED)


def test_an_address_is_found_by_the_function_that_ray_uses() -> None:
    from ray._private import services

    assert callable(services.canonicalize_bootstrap_address_or_die)
    assert found_address("10.0.0.1:6379") == "10.0.0.1:6379"


def test_without_a_head_there_is_no_answer() -> None:
    assert not head_answers(by_client=False)
    assert not head_answers(by_client=True)
