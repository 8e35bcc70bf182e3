"""Nodes are used by what they have, and all trials get the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.backend.cluster_resources import Node, plan_cluster_resources, room
from sweeps.common.errors import RequestError


def nodes(*each: tuple[float, float]) -> list[Node]:
    return [Node(f"n{i}", f"10.0.0.{i}", cpus, gpus) for i, (cpus, gpus) in enumerate(each)]


def test_each_node_holds_what_it_has_room_for() -> None:
    plan = plan_cluster_resources(nodes((4, 0), (8, 0), (3, 0)), 100)
    assert (plan.concurrent, plan.cpus_per_trial, plan.threads, plan.nodes) == (15, 1.0, 1, 3)
    assert plan.follows_nodes
    assert room(nodes((4, 0), (8, 0), (3, 0)), 2.0, 0.0) == 2 + 4 + 1


def test_with_gpus_anywhere_trials_train_on_gpus_and_the_poorest_node_sets_the_threads() -> None:
    mixed = nodes((16, 2), (8, 4), (64, 0))
    plan = plan_cluster_resources(mixed, 100)
    assert (plan.concurrent, plan.gpus_per_trial, plan.threads, plan.nodes) == (6, 1.0, 2, 2)
    halves = plan_cluster_resources(mixed, 100, gpus_per_trial=0.5)
    assert (halves.concurrent, halves.threads) == (12, 1)
    cpus = plan_cluster_resources(mixed, 10, gpus_per_trial=0.0)
    assert (cpus.gpus_per_trial, cpus.nodes) == (0.0, 3)


def test_few_trials_get_more_threads_each() -> None:
    plan = plan_cluster_resources(nodes((8, 0), (8, 0)), 4)
    assert (plan.concurrent, plan.threads) == (4, 4)
    asked = plan_cluster_resources(nodes((8, 0), (8, 0)), 100, concurrent=2)
    assert (asked.concurrent, asked.threads, asked.follows_nodes) == (2, 8, False)


def test_what_no_node_can_hold_is_refused_with_what_they_have_unless_nodes_may_come() -> None:
    with pytest.raises(RequestError, match=r"no node of the cluster has 4 cores and 1 GPUs .* 2 cores, 4 cores"):
        plan_cluster_resources(nodes((2, 0), (4, 0)), 4, cpus_per_trial=4, gpus_per_trial=1)
    assert plan_cluster_resources(nodes((2, 0)), 4, concurrent=8, gpus_per_trial=1).concurrent == 8
    assert plan_cluster_resources([], 4, concurrent=8, gpus_per_trial=1, cpus_per_trial=4).concurrent == 8
    with pytest.raises(RequestError, match="--concurrent 0"):
        plan_cluster_resources(nodes((2, 0)), 4, concurrent=0)


@given(
    st.lists(st.tuples(st.integers(1, 64), st.integers(0, 8)), min_size=1, max_size=6),
    st.integers(1, 40),
    st.permutations(range(6)),
)
def test_a_plan_always_fits_and_does_not_depend_on_the_order_of_the_nodes(
    each: list[tuple[int, int]], trials: int, order: list[int]
) -> None:
    there = nodes(*each)
    plan = plan_cluster_resources(there, trials)
    assert 1 <= plan.concurrent <= max(room(there, plan.cpus_per_trial, plan.gpus_per_trial), 1)
    shuffled = [there[i] for i in order if i < len(there)]
    assert plan_cluster_resources(shuffled, trials) == plan
