"""Many simulated nodes in one process and one thread, on one selector.

A process of `benchmarks.fleet`; it obeys its parent through a pipe.
"""

from __future__ import annotations

import heapq
import itertools
import random
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection as Pipe
from typing import Any

import numpy as np
import psutil

from benchmarks.fleet_node import Node

_MISC_S = 1.0
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Orders:
    """What one process simulates: `count` nodes from number `first` on."""

    port: int
    first: int
    count: int
    percept_s: float
    event_s: float
    ramp_s: float
    seed: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What the nodes of one process did while they published. `late_ms`: how late the simulation was."""

    published: dict[tuple[str, str], int]
    """(log, source) -> how many; they are numbered from 1 on."""
    acknowledged: int
    connections_lost: int
    late_ms: np.ndarray
    payload_bytes: int


class Fleet:
    """All nodes of this process. Times are seconds of the monotonic clock."""

    def __init__(self, orders: Orders) -> None:
        self.connects_s: list[float] = []
        self.attempts = self.lost = 0
        self._orders = orders
        self._chance = random.Random(orders.seed + orders.first)
        self._selector = selectors.DefaultSelector()
        self._plan: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._watched: dict[Node, tuple[Any, int]] = {}
        self._late_ms: list[float] = []
        self.nodes = [
            Node(
                f"node-{orders.first + i:05d}", orders.port, random.Random(self._chance.random()), self._note
            )
            for i in range(orders.count)
        ]
        self._at(time.monotonic() + _MISC_S, self._misc)

    def _note(self) -> None:
        self.connects_s.append(time.monotonic())

    def _at(self, due_s: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._plan, (due_s, next(self._serial), what))

    @property
    def connected(self) -> int:
        """How many nodes are, now."""
        return sum(node.connected for node in self.nodes)

    def turn(self) -> None:
        """Wait for a socket or for the next thing in the plan, then do all that is due."""
        wait_s = self._plan[0][0] - time.monotonic() if self._plan else _MISC_S
        for key, mask in self._selector.select(max(0.0, wait_s)):
            node: Node = key.data
            if mask & selectors.EVENT_READ:
                node.client.loop_read()
            if mask & selectors.EVENT_WRITE:
                node.client.loop_write()
            self._watch(node)
        while self._plan and self._plan[0][0] <= time.monotonic():
            heapq.heappop(self._plan)[2]()

    def _watch(self, node: Node) -> None:
        """Let the selector wait for what this client waits for; plan its return when it lost its socket."""
        wire = node.client.socket()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if node.client.want_write() else 0)
        watched = self._watched.get(node)
        if watched == (wire, events):
            return
        if watched is not None and watched[0] is not wire:
            self._selector.unregister(watched[0])
            del self._watched[node]
        if wire is None:
            self._gone(node)
        elif node in self._watched:
            self._selector.modify(wire, events, node)
            self._watched[node] = (wire, events)
        else:
            self._selector.register(wire, events, node)
            self._watched[node] = (wire, events)

    def _gone(self, node: Node) -> None:
        self.lost += node.connected
        node.connected = False
        self._at(time.monotonic() + node.backoff.next_s(), partial(self._connect, node))

    def _connect(self, node: Node) -> None:
        self.attempts += 1
        try:
            node.connect()
        except OSError:
            self._at(time.monotonic() + node.backoff.next_s(), partial(self._connect, node))
        else:
            self._watch(node)

    def _misc(self) -> None:
        """Keep the connections alive, and notice those that are not."""
        for node in self.nodes:
            if node.client.socket() is not None:
                node.client.loop_misc()
                self._watch(node)
        self._at(time.monotonic() + _MISC_S, self._misc)

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        end_s = time.monotonic() + _PATIENCE_S
        while not condition():
            if time.monotonic() > end_s:
                raise RuntimeError(f"the measurement is void: {what} after {_PATIENCE_S:g} s")
            self.turn()

    def connect(self) -> None:
        """Connect all, spread evenly by chance over the ramp."""
        for node in self.nodes:
            due_s = time.monotonic() + self._chance.uniform(0, self._orders.ramp_s)
            self._at(due_s, partial(self._connect, node))
        self._until(lambda: self.connected == len(self.nodes), "not all nodes are connected")
        self._settle()

    def _settle(self) -> None:
        """Until the broker has all that was said."""
        self._until(
            lambda: all(node.said == node.acknowledged for node in self.nodes), "not all is acknowledged"
        )

    def publish(self, end_s: float) -> Tally:
        """Publish at the stated rate until `end_s`, each node at its own moments, then await every PUBACK."""
        before = sum(node.acknowledged for node in self.nodes)
        lost = self.lost
        self._late_ms.clear()
        for node in self.nodes:
            for source, interval_s in (
                ("percept/main", self._orders.percept_s),
                ("event", self._orders.event_s),
            ):
                first_s = time.monotonic() + self._chance.uniform(0, interval_s)
                self._repeat(node, source, interval_s, first_s, end_s)
        while time.monotonic() < end_s:
            self.turn()
        self._settle()
        return Tally(
            published={
                (node.log, source): n for node in self.nodes for source, n in node.numbers.items() if n
            },
            acknowledged=sum(node.acknowledged for node in self.nodes) - before,
            connections_lost=self.lost - lost,
            late_ms=np.array(self._late_ms),
            payload_bytes=sum(node.payload_bytes for node in self.nodes),
        )

    def _repeat(self, node: Node, source: str, interval_s: float, due_s: float, end_s: float) -> None:
        if due_s >= end_s:
            return

        def say() -> None:
            self._late_ms.append((time.monotonic() - due_s) * 1e3)
            node.say(source)
            self._watch(node)
            self._repeat(node, source, interval_s, due_s + interval_s, end_s)

        self._at(due_s, say)

    def lose_all(self) -> None:
        """Until every node knows that the broker is gone."""
        self._until(lambda: self.connected == 0, "some nodes are still connected")
        self.connects_s.clear()
        self.attempts = 0

    def find_again(self) -> tuple[list[float], int]:
        """Until all are back: (when each was, attempts in between)."""
        self._until(lambda: self.connected == len(self.nodes), "not all nodes came back")
        return self.connects_s, self.attempts


def main(pipe: Pipe, orders: Orders) -> None:
    """Do what the parent says, and answer each word with (result, bytes resident), until it ends us."""
    process = psutil.Process()
    pipe.send((None, process.memory_info().rss))
    fleet = Fleet(orders)
    words: dict[str, Callable[..., object]] = {
        "connect": fleet.connect,
        "publish": fleet.publish,
        "lose": fleet.lose_all,
        "find": fleet.find_again,
    }
    while True:
        word, *arguments = pipe.recv()
        try:
            result = words[word](*arguments)
        except RuntimeError as error:
            result = error
        pipe.send((result, process.memory_info().rss))
