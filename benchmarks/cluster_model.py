"""A cluster on a simulated clock: how long epochs take where, which nodes fail when, and where the slots' time goes.

Epoch times are log-normal across trials (their configs differ), nodes and epochs; a tenth of the nodes is slow. A node
fails after an exponential time, with all its trials, and is replaced later. A trial goes on from its last checkpoint,
which is made after every epoch, on whichever slot is free first.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class ModelConfig:
    """What the cluster is: times in seconds, spreads as standard deviations of logarithms."""

    slots: int
    epochs: int
    epoch_seconds: float = 60.0
    slots_per_node: int = 8
    failures_per_node_hour: float = 0.02
    replaced_after: float = 600.0
    start_seconds: float = 20.0
    trial_spread: float = 0.25
    node_spread: float = 0.08
    epoch_spread: float = 0.05
    slow_share: float = 0.1
    slow_factor: float = 1.6

    @property
    def nodes(self) -> int:
        """Nodes, the last of which may have fewer slots."""
        return math.ceil(self.slots / self.slots_per_node)


@dataclass
class SlotSeconds:
    """Where the time of all slots went; `kept` are epochs that counted."""

    kept: float = 0.0
    lost: float = 0.0
    starting: float = 0.0
    waiting: float = 0.0
    down: float = 0.0


@dataclass
class Work:
    """A trial on its way: `seconds` is its own median epoch, `done` its last checkpoint's epoch."""

    trial_id: str
    seconds: float
    done: int = 0
    failures: int = 0


class Driver(Protocol):
    """Who decides; each call says also how many seconds the driver was busy with it."""

    def next_trial(self, now: float) -> tuple[str | None, float]:
        """The trial for a free slot; None where there is none now."""

    def report(self, trial_id: str, epoch: int, now: float) -> tuple[bool, float]:
        """An epoch has ended; whether the trial ends with it."""

    def lost(self, trial_id: str, now: float) -> tuple[bool, float]:
        """A trial's node has failed; whether it is tried again."""


@dataclass
class _Slot:
    node: int
    work: Work | None = None
    since: float = 0.0  # the driver's answer, after which a start or an epoch began
    epoch_began: float = 0.0
    turn: int = 0  # rises with whatever makes an event of this slot void


@dataclass(order=True)
class _Event:
    at: float
    number: int
    happen: Callable[[], None] = field(compare=False)


class Cluster:
    """Slots that ask one driver for work and hear its decisions in the order in which they asked."""

    def __init__(self, shape: ModelConfig, driver: Driver, seed: int, ended: Callable[[], None] = lambda: None) -> None:
        self.shape = shape
        self.seconds = SlotSeconds()
        self.now = 0.0
        self.last_start = 0.0
        self.node_failures = 0
        self.longest_queue = 0.0
        self._driver = driver
        self._ended = ended
        self._chance = np.random.default_rng(seed)
        self._slots = [_Slot(number // shape.slots_per_node) for number in range(shape.slots)]
        self._free = deque(range(shape.slots))
        self._waiting: deque[Work] = deque()
        self._events: list[_Event] = []
        self._numbers = 0
        self._driver_free = 0.0
        self._running = 0
        factors = self._spread(shape.node_spread, shape.nodes)
        slow = self._chance.random(shape.nodes) < shape.slow_share
        self._node_factor = np.where(slow, shape.slow_factor, 1.0) * factors

    def run(self) -> None:
        """Until no trial is left."""
        for node in range(self.shape.nodes):
            self._plan_failure(node)
        self._fill()
        while self._events and (self._running or self._waiting):
            event = heapq.heappop(self._events)
            self.now = event.at
            event.happen()

    def until_now(self) -> SlotSeconds:
        """Where the slots' time has gone, with that of free slots as waiting."""
        spent = self.seconds
        known = spent.kept + spent.lost + spent.starting + spent.down
        return SlotSeconds(spent.kept, spent.lost, spent.starting, self.now * self.shape.slots - known, spent.down)

    def _after(self, at: float, happen: Callable[[], None]) -> None:
        self._numbers += 1
        heapq.heappush(self._events, _Event(at, self._numbers, happen))

    def _spread(self, deviation: float, count: int | None = None) -> np.ndarray:
        spread: np.ndarray = np.exp(deviation * self._chance.standard_normal(count))
        return spread

    def _busy(self, seconds: float) -> float:
        """When the driver, which does one thing after another, will have answered."""
        self._driver_free = max(self._driver_free, self.now) + seconds
        self.longest_queue = max(self.longest_queue, self._driver_free - self.now)
        return self._driver_free

    def _fill(self) -> None:
        """Give the free slots work: first what a failed node has left, then new trials."""
        while self._free:
            if self._waiting:
                work, at = self._waiting.popleft(), self._busy(0.0)
            else:
                trial_id, seconds = self._driver.next_trial(self.now)
                at = self._busy(seconds)
                if trial_id is None:
                    return
                work = Work(trial_id, self.shape.epoch_seconds * float(self._spread(self.shape.trial_spread)))
                self.last_start = at
            self._begin(self._free.popleft(), work, at)

    def _begin(self, number: int, work: Work, at: float) -> None:
        slot = self._slots[number]
        slot.work = work
        self._running += 1
        starts = self.shape.start_seconds * float(self._spread(0.3))
        slot.since = at
        slot.epoch_began = at + starts
        self._epoch(number)

    def _epoch(self, number: int) -> None:
        slot = self._slots[number]
        assert slot.work is not None
        takes = slot.work.seconds * self._node_factor[slot.node] * float(self._spread(self.shape.epoch_spread))
        slot.turn += 1
        turn = slot.turn
        self._after(slot.epoch_began + takes, lambda: self._epoch_ends(number, turn))

    def _epoch_ends(self, number: int, turn: int) -> None:
        slot = self._slots[number]
        if slot.turn != turn or slot.work is None:
            return
        self.seconds.starting += slot.epoch_began - slot.since
        self.seconds.kept += self.now - slot.epoch_began
        slot.work.done += 1
        ends, seconds = self._driver.report(slot.work.trial_id, slot.work.done, self.now)
        at = self._busy(seconds)
        slot.since = slot.epoch_began = at
        if not ends:
            self._epoch(number)
            return
        slot.work = None
        self._running -= 1
        self._ended()
        self._free.append(number)
        self._fill()

    def _plan_failure(self, node: int) -> None:
        rate = self.shape.failures_per_node_hour / 3600
        if rate:
            self._after(self.now + float(self._chance.exponential(1 / rate)), lambda: self._fail(node))

    def _fail(self, node: int) -> None:
        """The node is gone: its slots, its workers, and the epochs that they were in."""
        self.node_failures += 1
        for number, slot in enumerate(self._slots):
            if slot.node != node:
                continue
            slot.turn += 1
            if slot.work is None:
                self._free.remove(number)
                continue
            work, slot.work = slot.work, None
            self._running -= 1
            self.seconds.lost += max(self.now - slot.since, 0.0)
            work.failures += 1
            again, seconds = self._driver.lost(work.trial_id, self.now)
            self._busy(seconds)
            if again:
                self._waiting.append(work)
            else:
                self._ended()
        self._after(self.now + self.shape.replaced_after, lambda: self._replace(node))
        self._fill()

    def _replace(self, node: int) -> None:
        for number, slot in enumerate(self._slots):
            if slot.node == node:
                self._free.append(number)
                self.seconds.down += self.shape.replaced_after
        self._plan_failure(node)
        self._fill()
