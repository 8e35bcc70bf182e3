"""All that touches private names of Ray: tests/sweeps/backend/test_ray_patches.py fails where Ray changes one."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

NEEDED = ("gcs_server", "raylet")
UNUSED = ("start_api_server", "start_monitor", "start_log_monitor")
"""Servers that a sweep on one machine never asks: half of Ray's start, and of two cores while it lasts"""
HEAD_ANSWER_SECONDS = 5


@contextmanager
def while_ray_starts() -> Iterator[None]:
    """Keep our SIGTERM handler, by which the run is saved, where Ray would install its own; let Ray note a command line
    in which a file's name is no valid UTF-8; and start no unused server, where this version of Ray has one."""
    from ray._private import node, utils

    set_handler, name, ours = utils.set_sigterm_handler, utils.get_entrypoint_name, signal.getsignal(signal.SIGTERM)
    unused = {name: lambda self, **options: None for name in UNUSED if hasattr(node.Node, name)}
    with (  # ours is set again: Ray's own libraries install a handler, too
        patch.multiple(node.Node, **unused),  # type: ignore[call-overload]
        patch.object(utils, "set_sigterm_handler", lambda handler: set_handler(ours)),
        patch.object(utils, "get_entrypoint_name", lambda: name().encode("utf-8", "backslashreplace").decode()),
    ):
        yield


@contextmanager
def while_ray_ends() -> Iterator[None]:
    """Keep our SIGTERM handler: the end of Ray's core worker puts the system's own in its place, which ends the process
    without a word, and a second passes before Ray has ended its other processes."""
    from ray._private import worker

    next_step = worker.FunctionActorManager  # what Ray makes anew right after that

    def caught_again(*given: object) -> object:
        ours = signal.getsignal(signal.SIGTERM)
        if ours is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours)
        return next_step(*given)

    with patch.object(worker, "FunctionActorManager", caught_again):
        yield


@contextmanager
def session_folder() -> Iterator[None]:
    """By ray:// this process is on no node of the cluster, and Ray Tune's loop asks for the folder of one."""
    from ray.train._internal import storage
    from ray.util.client import ray

    with tempfile.TemporaryDirectory(prefix="ray-client-") as folder:
        given = (lambda: folder) if ray.is_connected() else storage._get_ray_train_session_dir
        with patch.object(storage, "_get_ray_train_session_dir", given):
            yield


def dead_servers() -> list[str]:
    """Which of the processes of this session's Ray have ended; without them Ray waits for ever."""
    from ray._private import worker

    dead = () if worker._global_node is None else worker._global_node.dead_processes()
    return [str(kind) for kind, _ in dead if kind in NEEDED]


def found_address(address: str) -> str:
    """What `auto` stands for, as HOST:PORT: by `auto`, Ray may join under another of this machine's addresses than the
    node has, and every actor is lost. Other addresses stay as they are."""
    from ray._private import services

    return str(services.canonicalize_bootstrap_address_or_die(address)) if address == "auto" else address


def head_answers(by_client: bool) -> bool:
    """Whether the head of the cluster that this process has joined is there."""
    from ray._private import worker
    from ray.util.client import ray

    if by_client:
        return bool(ray.is_connected())  # it tries for half a minute itself
    try:
        worker.global_worker.gcs_client.internal_kv_get(b"xtts-sweep", b"", timeout=HEAD_ANSWER_SECONDS)
    except Exception:  # Ray has an error for each way of being gone: none is an answer
        return False
    return True
