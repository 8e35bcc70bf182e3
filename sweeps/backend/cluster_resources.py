"""How many trials the nodes of a cluster hold, each by what it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.common.errors import RequestError
from sweeps.run.resources import Resources, impossible_shares, room_on_gpus


@dataclass(frozen=True)
class Node:
    """A machine of the cluster and what Ray may give away of it."""

    name: str
    address: str
    cpus: float
    gpus: float


def room(nodes: Sequence[Node], cpus_per_trial: float, gpus_per_trial: float) -> int:
    """How many trials fit on the nodes at once; a trial never spreads over two."""
    return sum(_room_on(node, cpus_per_trial, gpus_per_trial) for node in nodes)


def plan_cluster_resources(
    nodes: Sequence[Node],
    trials: int,
    *,
    concurrent: int | None = None,
    cpus_per_trial: float | None = None,
    gpus_per_trial: float | None = None,
) -> Resources:
    """As many trials as the nodes have room for; RequestError where none of them can hold one of them.

    Where any node has GPUs, trials train on GPUs: a trial on a CPU would be held up by its slowness and differ by its
    arithmetic. All trials get the same number of threads, so that a trial's curve does not depend on its node: as many
    as the poorest node that is used can give. `concurrent` may be above the room there is: nodes may join.
    """
    problems = impossible_shares(concurrent, cpus_per_trial, gpus_per_trial)
    if problems:
        raise RequestError("; ".join(problems))
    gpus_each = float(any(node.gpus >= 1 for node in nodes)) if gpus_per_trial is None else gpus_per_trial
    used = [node for node in nodes if node.gpus + 1e-9 >= gpus_each] if gpus_each else list(nodes)
    cpus = cpus_per_trial or _cpus_each(used, trials if concurrent is None else concurrent, gpus_each)
    space = room(used, cpus, gpus_each)
    if nodes and not space and concurrent is None:
        asked = f"{cpus:g} cores" + (f" and {gpus_each:g} GPUs" if gpus_each else "")
        raise RequestError(f"--address: no node of the cluster has {asked} for a trial; they have {_listed(nodes)}")
    return Resources(
        concurrent=max(min(space, trials), 1) if concurrent is None else concurrent,
        threads=max(int(cpus), 1),
        cpus_per_trial=cpus,
        gpus_per_trial=gpus_each,
        cores=int(sum(node.cpus for node in used)),
        gpus=int(sum(node.gpus for node in used)),
        nodes=len(used),
        follows_nodes=concurrent is None,
    )


def _cpus_each(nodes: Sequence[Node], wanted: int, gpus_each: float) -> float:
    """With GPUs the share of its node that goes with a GPU, on the poorest; else the most cores that still let `wanted`
    trials run at once."""
    if gpus_each:
        shares = [node.cpus / max(room_on_gpus(node.gpus, gpus_each), 1) for node in nodes if node.cpus >= 1]
        return max(float(int(min(shares, default=1.0))), min(1.0, min(shares, default=1.0)))
    most = int(max((node.cpus for node in nodes), default=1.0))
    enough = (cpus for cpus in range(most, 1, -1) if room(nodes, cpus, 0.0) >= wanted)
    return float(next(enough, 1))


def _room_on(node: Node, cpus_per_trial: float, gpus_per_trial: float) -> int:
    by_cpus = int(node.cpus / cpus_per_trial + 1e-9)
    return min(by_cpus, room_on_gpus(node.gpus, gpus_per_trial)) if gpus_per_trial else by_cpus


def _listed(nodes: Sequence[Node]) -> str:
    shown = [f"{node.cpus:g} cores" + (f" and {node.gpus:g} GPUs" if node.gpus else "") for node in nodes[:5]]
    return ", ".join(shown) + (", ..." if len(nodes) > len(shown) else "")
