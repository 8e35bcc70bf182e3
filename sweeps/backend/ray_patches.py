"""What is done to Ray's inside, all in one place: checked with Ray 2.60, and left alone where a version has it not.

Everything else of this package uses Ray as its pages say.
"""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

NEEDED = ("gcs_server", "raylet")
UNUSED_STARTS = ("start_api_server", "start_monitor", "start_log_monitor")
IMPORTED_WHILE_IT_STARTS = (
    "ray._common.usage.usage_lib",
    "ray._private.runtime_env.uv_runtime_env_hook",
    "ray._private.thirdparty.pynvml",
    "ray.core.generated.usage_pb2",
)
LOOK_AGAIN_SECONDS = 0.03
HEAD_ANSWER_SECONDS = 5


@contextmanager
def replaced(owner: object, name: str, value: object) -> Iterator[None]:
    """Another value under that name for a while; nothing where there is no such name."""
    if not hasattr(owner, name):
        yield
        return
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def own_signal_handlers() -> Iterator[None]:
    """Keep Ray from putting its SIGTERM handler in place of ours while it starts."""
    from ray._private import utils

    theirs = utils.set_sigterm_handler
    ours = signal.getsignal(signal.SIGTERM)
    # set again: Ray's own libraries install one, too
    with replaced(utils, "set_sigterm_handler", lambda handler: theirs(ours)):
        yield


@contextmanager
def command_line_as_text() -> Iterator[None]:
    """Let Ray note a command line in which a file's name is no valid UTF-8."""
    from ray._private import utils

    theirs = getattr(utils, "get_entrypoint_name", str)
    with replaced(utils, "get_entrypoint_name", lambda: theirs().encode("utf-8", "backslashreplace").decode()):
        yield


@contextmanager
def needed_servers_alone() -> Iterator[None]:
    """While Ray starts in this process: no server that a sweep on one machine never asks, which is half of its start.

    Left out are the API server (there for usage statistics even without a dashboard), the autoscaler's monitor, the log
    monitor (logs stay in their files) and the dashboard agent's larger half. And Ray, which looks for its raylet once a
    second, sees it at once.
    """
    from ray._private import node, services, utils

    with ExitStack() as changed:
        for start in UNUSED_STARTS:
            changed.enter_context(replaced(node.Node, start, lambda self, **options: None))
        unwanted = ImportError("unwanted")
        changed.enter_context(replaced(utils, "get_dashboard_dependency_error", lambda: unwanted))
        changed.enter_context(replaced(services, "get_node", _seen_at_once(services.get_node)))
        yield


def _seen_at_once(get_node: Callable[[str, str], Any]) -> Callable[[str, str], Any]:
    """Ray's own look at a node, which waits a second where it comes too early: begun when the node is there."""

    def wait_and_get(gcs_address: str, node_id: str) -> Any:
        from ray._private import services, state

        known = state.GlobalState()
        known._initialize_global_state(services._get_gcs_client_options(gcs_address))
        until = time.monotonic() + 5.0
        while time.monotonic() < until and all(node["NodeID"] != node_id for node in known.node_table()):
            time.sleep(LOOK_AGAIN_SECONDS)
        return get_node(gcs_address, node_id)

    return wait_and_get


@contextmanager
def quick_tune(on_this_machine: bool) -> Iterator[None]:
    """While Ray Tune runs: no import of wandb to count callbacks by kind, and on this machine workers that are there.

    Tune gives each trial a runtime environment of a few variables, for nodes that lack them. A worker with one starts
    anew, by two processes one after the other; on this machine the variables were set before Ray was.
    """
    import ray
    from ray.air._internal import usage
    from ray.tune.execution import class_cache

    def without_environment(self: Any, trainable: type) -> Any:
        if trainable not in self._cache:
            self._cache[trainable] = ray.remote(trainable)
        return self._cache[trainable]

    with ExitStack() as changed:
        changed.enter_context(replaced(usage, "tag_callbacks", lambda callbacks: False))
        if on_this_machine:
            changed.enter_context(replaced(class_cache._ActorClassCache, "get", without_environment))
        yield


@contextmanager
def session_folder() -> Iterator[None]:
    """Ray Tune's loop asks for the folder of the node it runs on: beside a cluster, by ray://, it runs on none."""
    import ray

    if not ray.util.client.ray.is_connected():
        yield
        return
    from ray.train._internal import storage

    with (
        tempfile.TemporaryDirectory(prefix="ray-client-") as folder,
        replaced(storage, "_get_ray_train_session_dir", lambda: folder),
    ):
        yield


def dead_servers() -> list[str]:
    """Which of the processes that this session's Ray consists of have ended; without them it waits for ever."""
    from ray._private import worker

    node = worker._global_node
    dead = () if node is None else node.dead_processes()
    return [str(kind) for kind, _ in dead if kind in NEEDED]


def found_address(address: str) -> str:
    """What `auto` stands for on this machine, as HOST:PORT: joined as `auto`, Ray 2.60 may take another of this
    machine's addresses for its own than the node has, and every actor is lost at birth. Others stay as they are."""
    from ray._private import services

    find = getattr(services, "canonicalize_bootstrap_address_or_die", None)
    return str(find(address)) if address == "auto" and find is not None else address


def head_answers(by_client: bool) -> bool:
    """Whether the head of the cluster that this process has joined is there."""
    import ray
    from ray._private import worker

    if by_client:
        return bool(ray.util.client.ray.is_connected())  # it tries for half a minute itself
    try:
        worker.global_worker.gcs_client.internal_kv_get(b"xtts-sweep", b"", timeout=HEAD_ANSWER_SECONDS)
    except Exception:  # Ray has an error for each way of being gone: none is an answer
        return False
    return True
