"""A Ray cluster of separate raylets on loopback, each with its own address and temporary folder, as on own machines."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from ray._private.node import Node
from ray._private.utils import get_ray_address_file
from ray.cluster_utils import Cluster


class Raylets:
    """A head without cores, and nodes that can be added and killed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.room = Path(tempfile.mkdtemp(prefix="raylets-", dir="/tmp"))  # sockets need short paths
        self._environment = environment
        self._known_file = Path(get_ray_address_file(None))  # where `auto` looks: a killed head leaves itself there
        self._known = self._known_file.read_text() if self._known_file.exists() else None
        self._known_file.parent.mkdir(parents=True, exist_ok=True)  # Ray makes it elsewhere, as it was told to
        self._cluster = Cluster(shutdown_at_exit=False)
        self._numbers = count(1)
        self.nodes: dict[str, Node] = {}
        self._client_port = free_port()

    @property
    def address(self) -> str:
        """HOST:PORT, as --address takes it."""
        return str(self._cluster.address)

    @property
    def client_address(self) -> str:
        """ray://HOST:PORT, by which a machine that is no node joins."""
        return f"ray://127.0.0.1:{self._client_port}"

    def add_head(self) -> None:
        """The first machine, which gives away no cores."""
        self.add(cpus=0, ray_client_server_port=self._client_port)

    def add(self, cpus: int = 1, **options: Any) -> str:
        """One more machine; its name."""
        number = next(self._numbers)
        name = f"n{number}"
        temporary = self.temporary(name)
        temporary.mkdir(parents=True)
        self.nodes[name] = self._cluster.add_node(
            num_cpus=cpus,
            node_ip_address=f"127.0.0.{number + 1}",
            temp_dir=str(self.room / name / "r"),
            env_vars={"TMPDIR": str(temporary), **self._environment},
            include_dashboard=False,
            **options,
        )
        return name

    def temporary(self, name: str) -> Path:
        """Where that machine's processes put temporary files."""
        return self.room / name / "tmp"

    def kill(self, name: str) -> None:
        """End a machine as a power cut does."""
        node = self.nodes.pop(name)
        if node is self._cluster.head_node:
            node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
            self._cluster.head_node = None
        else:
            self._cluster.remove_node(node, allow_graceful=False)

    def end(self) -> None:
        """End all machines."""
        for name in reversed(list(self.nodes)):
            self.kill(name)
        shutil.rmtree(self.room, ignore_errors=True)
        if self._known is None:
            self._known_file.unlink(missing_ok=True)
        else:
            self._known_file.write_text(self._known)


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def raylets(environment: Mapping[str, str], cpus: tuple[int, ...] = (1, 1, 1)) -> Iterator[Raylets]:
    """A head and a node for each of `cpus`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("PYTHONPATH", "")  # the code reaches the nodes by the runtime environment alone
        for name, value in {**environment, "RAY_health_check_period_ms": "500"}.items():
            patch.setenv(name, value)
        started = Raylets(environment)
        try:
            started.add_head()
            with ThreadPoolExecutor(len(cpus)) as together:
                list(together.map(started.add, cpus))
            yield started
        finally:
            started.end()
