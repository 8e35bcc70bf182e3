"""A Ray cluster that is there already: joined for the length of one command, asked what it has, and left as it was."""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweeps.backend.cluster_resources import Node, room
from sweeps.backend.ray_patches import found_address, head_answers, session_folder, while_ray_ends, while_ray_starts
from sweeps.backend.session import ENVIRONMENT, is_installed, with_environment
from sweeps.common.errors import LONGEST_REASON, RequestError, one_line
from sweeps.common.program import program
from sweeps.run.resources import Resources
from sweeps.storage.object_store import Storage
from sweeps.trainer import is_spec

LOOK_AGAIN_SECONDS = 5.0
ANSWER_SECONDS = 120.0  # a node that is asked for the first time unpacks the code and starts a worker
HEAD_SECONDS = 30.0
CONNECT_SECONDS = 10.0


class Cluster:
    """The nodes of the cluster that this process has joined."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._nodes: list[Node] = []
        self._looked = -LOOK_AGAIN_SECONDS
        self._here: str | None = None

    def nodes(self) -> list[Node]:
        """Those that are alive and give away any cores, as of the last few seconds."""
        import ray

        if time.monotonic() - self._looked >= LOOK_AGAIN_SECONDS:
            self._nodes = [
                Node(
                    node["NodeID"],
                    node["NodeManagerAddress"],
                    float(node["Resources"].get("CPU", 0.0)),
                    float(node["Resources"].get("GPU", 0.0)),
                )
                for node in ray.nodes()
                if node["Alive"]
            ]
            self._looked = time.monotonic()
        return [node for node in self._nodes if node.cpus > 0 and self._here in (None, node.address)]

    def capacity(self, resources: Resources) -> int:
        """How many of the plan's trials the nodes hold now; one at least, for which a new node may be started."""
        return max(room(self.nodes(), resources.cpus_per_trial, resources.gpus_per_trial), 1)

    @property
    def trial_resources(self) -> dict[str, float]:
        """Ray resources of each trial besides cores and GPUs: without a storage, the node of the run's folder."""
        return {} if self._here is None else {f"node:{self._here}": 0.001}

    def lost(self) -> str | None:
        """What it means for people that the head does not answer any more; None where it does."""
        return None if head_answers(_by_client(self.address)) else _lost(self.address)

    def stay_on_this_node(self) -> None:
        """Without a storage trials can only run where the run's folder is; RequestError where that is not the cluster's
        one node."""
        import ray

        there = self.nodes()
        if _by_client(self.address):
            raise RequestError(
                f"--address {self.address}: the trials run on other machines than this one; "
                "give --storage, a folder that all of them mount or a bucket, for checkpoints and records"
            )
        if len({node.address for node in there}) > 1 or len(there) > 1:
            raise RequestError(
                f"--address {self.address}: the cluster has {len(there)} nodes, and a checkpoint on one's disk is lost "
                "to the others; give --storage, a folder that all of them mount or a bucket"
            )
        self._here = str(ray.util.get_node_ip_address()) if not there else there[0].address

    def check_storage(self, storage: Storage) -> None:
        """RequestError naming the first node that cannot read what this process writes."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        probe, content = f".probe-{secrets.token_hex(4)}", secrets.token_bytes(16)
        storage.put(probe, content)
        try:
            asked = {
                ray.remote(_reads)
                .options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node.name, soft=False))
                .remote(storage.uri, probe): node
                for node in self.nodes()
            }
            done, late = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_SECONDS) if asked else ([], [])
            for answer in late:
                raise RequestError(f"--address: node {asked[answer].address} does not start a worker; see its Ray logs")
            for answer in done:
                try:
                    read = ray.get(answer)
                except Exception as error:
                    reason = " ".join(str(error).split())[-LONGEST_REASON:]  # the end of a remote traceback says most
                    raise RequestError(f"--storage {storage.uri}: node {asked[answer].address}: {reason}") from error
                if read != content:
                    raise RequestError(
                        f"--storage {storage.uri}: node {asked[answer].address} does not see what this machine writes "
                        "there; it has to be a folder that every node mounts, or a bucket"
                    )
        finally:
            storage.delete(probe)


@contextmanager
def joined(address: str, trainer: str) -> Iterator[Cluster]:
    """The cluster at `address` (auto, HOST:PORT or ray://HOST:PORT), with this code and the trainer's on its workers.

    RequestError where none answers there.
    """
    with with_environment(ENVIRONMENT):
        import ray

        logging.getLogger("ray").setLevel(logging.ERROR)
        if _by_client(address):
            _check_client(address)
        try:
            there = found_address(address)
        except Exception as error:
            raise RequestError(f"--address {address}: no Ray cluster runs here: {one_line(error)}") from error
        _check_answer(address, there)
        try:
            _join(there, trainer)
        except Exception as error:  # Ray raises plain ones, too
            raise RequestError(f"--address {address}: no Ray cluster can be joined there: {one_line(error)}") from error
        ended = threading.Event()
        threading.Thread(target=_end_with_the_head, args=(address, ended), daemon=True).start()
        try:
            with session_folder():
                yield Cluster(address)
        finally:
            with while_ray_ends():
                ray.shutdown()
            ended.set()


def _join(there: str, trainer: str) -> None:
    import ray

    for last in (False, True):
        try:
            with while_ray_starts():
                ray.init(
                    address=there,
                    runtime_env={"py_modules": code(trainer), "excludes": ["__pycache__"]},
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            return
        except Exception as error:
            # The head starts a server for each client, and on a busy machine may be too late with it.
            if last or "client server failed" not in str(error):
                raise


def code(trainer: str) -> list[str]:
    """Folders and files that workers need to import this package and the trainer's; what is installed by pip is
    expected to be installed on every node."""
    found: list[str] = []
    needed = ("search_spaces", "trainers") if is_spec(trainer) else (trainer.partition(":")[0].partition(".")[0],)
    for name in dict.fromkeys(("messages", "sweeps", *needed)):
        spec = importlib.util.find_spec(name)
        if spec is None:
            continue
        folders = list(spec.submodule_search_locations or ())
        place = folders[0] if folders else spec.origin
        if place is not None and not is_installed(Path(place)):
            found.append(str(place))
    return found


def _check_client(address: str) -> None:
    if importlib.util.find_spec("grpc") is None:
        raise RequestError(f"--address {address}: needs Ray's client: pip install 'ray[client]'")


def _check_answer(address: str, there: str) -> None:
    """RequestError where no server listens: Ray itself would try for minutes."""
    host, _, port = there.removeprefix("ray://").strip("/").rpartition(":")
    if _by_client(there) and not host:
        return  # without a port: Ray's own
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise RequestError(f"--address {address!r}: expected auto, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:
        raise RequestError(
            f"--address {address}: no server answers there ({one_line(error)}); is Ray running?"
        ) from error


def _reads(uri: str, name: str) -> bytes | None:
    """On a node: what it finds under that name."""
    try:
        return Storage(uri, patience=30.0).get(name)
    except FileNotFoundError:
        return None


def _lost(address: str) -> str:
    return f"the cluster's head at {address} has not answered for {HEAD_SECONDS:.0f} s; resume the run"


def _by_client(address: str) -> bool:
    return address.startswith("ray://")


def _end_with_the_head(address: str, ended: threading.Event) -> None:
    """End this process where Ray's calls would wait in vain for a head that has died; all that counts is on disk."""
    answered = time.monotonic()
    while not ended.wait(2.0):
        if head_answers(_by_client(address)):
            answered = time.monotonic()
        elif time.monotonic() - answered > HEAD_SECONDS and not ended.is_set():
            print(f"{program()}: {_lost(address)}", file=sys.stderr, flush=True)
            os._exit(1)
