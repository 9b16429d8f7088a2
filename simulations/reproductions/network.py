"""The network of GOSSIP 4.2 in virtual time: packets take 0.1 ms and an exponential 0.15 ms, some
are lost, and a node does one thing at a time: each packet received is work, and packets leave one
after another.
"""

import heapq
import random
from collections.abc import Callable
from typing import Any, NamedTuple

ONE_WAY_SECONDS = 0.000_1
JITTER_SECONDS = 0.000_15


class Costs(NamedTuple):
    """What a node's processor takes, in seconds."""

    receive: float
    """A packet: got from the kernel, opened and read."""
    apply: float
    """Its changeset, if it holds a new one."""
    send: float
    """A packet: sealed and handed to the kernel."""


class Network:
    """A heap of events, and what becomes of packets."""

    def __init__(self, loss: float, rng: random.Random) -> None:
        self.now = 0.0
        self.loss = loss
        self.rng = rng
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.events = 0
        """So many there have been, or will be."""

    def at(self, when: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call something at a time."""
        self.events += 1
        heapq.heappush(self._events, (when, self.events, call, arguments))

    def way(self) -> float:
        """How long a packet takes."""
        return ONE_WAY_SECONDS + self.rng.expovariate(1 / JITTER_SECONDS)

    def send(self, leaves_at: float, call: Callable[..., None], *arguments: Any) -> None:
        """A packet leaves; ``call`` is its arrival, if it isn't lost."""
        if self.rng.random() >= self.loss:
            self.at(leaves_at + self.way(), call, *arguments)

    def run(self, until: float) -> None:
        """Let time pass."""
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, call, arguments = heapq.heappop(events)
            call(*arguments)
        self.now = until


class Spread(NamedTuple):
    """How the changesets of one run spread."""

    name: str
    nodes: int
    loss: float
    delays: list[list[float]]
    """For each changeset, when each node but its origin had it, in seconds after the commit."""
    payloads: float
    """Copies of a changeset sent, for each node."""
    digests: float
    """Packets that only say what there is, for each node and changeset."""
    seconds: float
    """Of virtual time."""
    events: int

    def percentile(self, share: float) -> float | None:
        """Milliseconds in which this share of all nodes had a changeset; None when fewer got it."""
        receivers = self.nodes - 1
        wanted = -(-round(share * receivers * len(self.delays) * 1e6) // 1_000_000)
        everyone = sorted(delay for delays in self.delays for delay in delays)
        return everyone[wanted - 1] * 1e3 if wanted <= len(everyone) else None

    def last(self) -> float | None:
        """Milliseconds until the last of all nodes had its changeset, the worst of all."""
        return self.percentile(1.0)

    def coverage(self, within: float) -> float:
        """Share of nodes that had a changeset within so many seconds."""
        had = sum(delay <= within for delays in self.delays for delay in delays)
        return had / ((self.nodes - 1) * len(self.delays))
