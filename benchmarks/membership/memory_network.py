"""Cores of ours that talk in memory, in virtual time, and how long each packet kept its receiver.

Only the core's public side is used: inputs, `effects`, `next_deadline`.
"""

import heapq
import itertools
import random
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from gossip.address import Address
from gossip.core import Gossip
from gossip.effects import CloseStream, Effect, OpenStream, SendDatagram, SendFrame
from gossip.identity import Identity
from gossip.keyring import Keyring
from gossip.member import Metadata
from gossip.profiles import LAN
from simulations.authority import LogReplica

DELAY_SECONDS = 0.0002
PORT = 8005


class Delivery(NamedTuple):
    """One packet that arrived."""

    by_timer: bool
    """Whether a timer sent it, and not another packet or frame."""
    answered: bool
    """Whether its receiver sent a packet back at once."""
    size: int
    nanoseconds: int

    @property
    def is_ping(self) -> bool:
        return self.by_timer and self.answered

    @property
    def is_ack(self) -> bool:
        return not self.by_timer and not self.answered


class MemoryNetwork:
    """A cluster that loses nothing. Times are seconds of virtual time."""

    def __init__(self, rng: random.Random, keyring: Keyring | None) -> None:
        self._rng = rng
        self._keyring = keyring
        self._now = 1000.0
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._cores: dict[Address, Gossip] = {}
        self._ends: dict[tuple[Address, int], tuple[Address, int]] = {}
        """The far end of each end of a stream."""
        self._accepted = itertools.count(1, 2)
        self._deliveries: list[Delivery] = []

    def add(self) -> None:
        """One more node, which joins by the first."""
        number = len(self._cores) + 1
        where = f"10.0.0.{number}", PORT
        rng = random.Random(self._rng.getrandbits(64))
        core = Gossip(
            Identity(f"{rng.getrandbits(32):08x}-0000-4000-8000-{number:012x}", 1, number),
            Metadata(f"n{number}", "traditional", "", "1.0", "", ""),
            where,
            "bench",
            LAN,
            LogReplica(),
            rng,
            self._now,
            keyring=self._keyring,
        )
        first = next(iter(self._cores), None)
        self._cores[where] = core
        core.start(self._now)
        if first is not None:
            core.join([first], self._now)
        self._carry_out(where, core.effects(), by_timer=False)

    def run(self, seconds: float) -> list[Delivery]:
        """Let time pass; every packet that arrived in it."""
        self._deliveries = []
        end = self._now + seconds
        while True:
            due = [(core.next_deadline(), where) for where, core in self._cores.items()]
            timer = min(((at, where) for at, where in due if at is not None), default=None)
            arrival = self._queue[0][0] if self._queue else None
            at = min(time for time in (arrival, timer and timer[0], end) if time is not None)
            if at >= end:
                self._now = end
                return self._deliveries
            self._now = max(self._now, at)
            if arrival is not None and arrival <= at:
                heapq.heappop(self._queue)[2]()
            elif timer is not None:
                core = self._cores[timer[1]]
                core.advance(self._now)
                self._carry_out(timer[1], core.effects(), by_timer=True)

    def _later(self, work: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self._now + DELAY_SECONDS, next(self._order), work))

    def _carry_out(self, where: Address, effects: list[Effect], *, by_timer: bool) -> None:
        for effect in effects:
            match effect:
                case SendDatagram(to, data):
                    self._send(where, to, data, by_timer)
                case OpenStream(stream, to, frame):
                    far = to, next(self._accepted)
                    self._ends[where, stream], self._ends[far] = far, (where, stream)
                    self._later(partial(self._accept, far, where))
                    self._pass_on(far, frame)
                case SendFrame(stream, frame):
                    if (where, stream) in self._ends:
                        self._pass_on(self._ends[where, stream], frame)
                case CloseStream(stream):
                    end = self._ends.pop((where, stream), None)
                    if end is not None:
                        self._later(partial(self._closed, end))
                case _:
                    pass  # no seeds' names, no file, nobody to tell

    def _send(self, where: Address, to: Address, data: bytes, by_timer: bool) -> None:
        if to in self._cores:
            self._later(partial(self._deliver, where, to, data, by_timer))

    def _deliver(self, source: Address, to: Address, data: bytes, by_timer: bool) -> None:
        core = self._cores[to]
        began = time.perf_counter_ns()
        core.datagram_received(data, source, self._now)
        effects = core.effects()
        taken = time.perf_counter_ns() - began
        answered = any(isinstance(one, SendDatagram) and one.address == source for one in effects)
        self._deliveries.append(Delivery(by_timer, answered, len(data), taken))
        self._carry_out(to, effects, by_timer=False)

    def _accept(self, far: tuple[Address, int], source: Address) -> None:
        core = self._cores[far[0]]
        core.stream_accepted(far[1], source, self._now)
        self._carry_out(far[0], core.effects(), by_timer=False)

    def _pass_on(self, end: tuple[Address, int], frame: bytes) -> None:
        self._later(partial(self._frame, end, frame))

    def _frame(self, end: tuple[Address, int], frame: bytes) -> None:
        if end in self._ends:
            core = self._cores[end[0]]
            core.frame_received(end[1], frame, self._now)
            self._carry_out(end[0], core.effects(), by_timer=False)

    def _closed(self, end: tuple[Address, int]) -> None:
        if self._ends.pop(end, None) is not None:
            core = self._cores[end[0]]
            core.stream_closed(end[1], self._now)
            self._carry_out(end[0], core.effects(), by_timer=False)
