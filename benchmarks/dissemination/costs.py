"""What a packet costs the processor here: our core, sealed, the real replica, real sockets."""

import random
import socket
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import uvloop

from benchmarks.entities import configuration, following, route
from gossip.core import Gossip
from gossip.datagrams import open_datagrams
from gossip.effects import SendDatagram
from gossip.identity import Identity
from gossip.keyring import configured
from gossip.member import Metadata
from gossip.messages.membership import Alive
from gossip.profiles import LAN
from gossip.replica import Replica as GossipReplica
from simulations.authority import LogAuthority, LogReplica
from simulations.reproductions.network import Costs
from store.authority import State
from store.replica import Replica, Verdict
from store.version import Head, Version

_CHANGES = 2_000
_CHILDREN = 31
_DATAGRAMS = 5_000
_BODY_BYTES = 300
_ROUNDS = 5
"""The median of so many: other processes of the machine get in between."""


class Measured(NamedTuple):
    """Microseconds of processor time."""

    seal: float
    """Sealing a packet for one more child."""
    sendto: float
    """Handing it to the kernel."""
    wake: float
    """Getting a packet from the kernel through the event loop."""
    read: float
    """Opening it and reading what is in it."""
    apply: float
    """Applying a changeset to the replica."""

    @property
    def costs(self) -> Costs:
        receive, send = self.wake + self.read, self.seal + self.sendto
        return Costs(receive / 1e6, self.apply / 1e6, send / 1e6)


def measure() -> Measured:
    sendto, wake = _median(lambda: uvloop.run(_sockets()))
    (seal,) = _median(lambda: (_sealing(),))
    read, apply = _median(_taking)
    return Measured(seal, sendto, wake, read, apply)


def _median(once: Callable[[], tuple[float, ...]]) -> list[float]:
    rounds = [once() for _ in range(_ROUNDS)]
    return [statistics.median(values) * 1e6 for values in zip(*rounds, strict=True)]


def _core(number: int, replica: GossipReplica) -> Gossip:
    claim = _claim(number)
    return Gossip(
        Identity(claim.node_id, 1, number), claim.metadata, claim.address, "benchmark", LAN,
        replica, random.Random(number), 0.0, keyring=configured(b"k" * 32),
    )  # fmt: skip


def _claim(number: int) -> Alive:
    name = Metadata(f"node-{number}", "traditional", "", "1", "", "")
    node_id = f"{number:08x}-0000-4000-8000-{number:012x}"
    return Alive(node_id, 1, number, 1, (f"10.0.0.{number}", 8005), name)


def _sealing() -> float:
    """Seconds for each receiver of a commit, in a cluster of as many as a relay has children."""
    core, replica, authority = _core(1, LogReplica()), LogReplica(), LogAuthority()
    core = _core(1, replica)
    core.acquaint([_claim(number) for number in range(2, 2 + _CHILDREN)], 0.0)
    now = taken = 0.0
    for _ in range(_CHANGES // 10):
        now += 1.0
        replica.offer(*authority.commit(random.randbytes(_BODY_BYTES)))
        began = time.thread_time()
        core.committed(now)
        core.effects()
        taken += time.thread_time() - began
    return taken / (_CHANGES // 10) / _CHILDREN


class _Timed(Replica):
    """Adds up the time that its changesets take."""

    taken = 0.0

    def offer(self, version: tuple[int, int, int], *changeset: bytes) -> Verdict:
        began = time.thread_time()
        verdict = super().offer(version, *changeset)
        self.taken += time.thread_time() - began
        return verdict


def _taking() -> tuple[float, float]:
    """Seconds for each pushed changeset at its receiver: for the core, and for the replica."""
    rng = random.Random(1)
    changes = tuple(configuration(1_000, rng))
    state = State(Head(Version(1, 7, 1), bytes(32)), changes)
    ours, theirs = Replica("a"), _Timed("b")
    for replica in (ours, theirs):
        replica.load(state)
    sender, receiver = _core(1, ours), _core(2, theirs)
    sender.acquaint([_claim(2)], 0.0)
    receiver.acquaint([_claim(1)], 0.0)
    service = next(change.id for change in changes if change.kind == "services")
    now = taken = 0.0
    for number in range(_CHANGES):
        if number == _CHANGES // 2:
            # The first ones are challenged: each side proves that it lives.
            theirs.taken = taken = 0.0
        now += 1.0
        ours.offer(*following(ours, route(10**6 + number, service, rng)))
        sender.committed(now)
        packets = [one.data for one in sender.effects() if isinstance(one, SendDatagram)]
        for data in packets:
            began = time.thread_time()
            receiver.datagram_received(data, ("10.0.0.1", 8005), now)
            answers = receiver.effects()
            taken += time.thread_time() - began
            for answer in answers:
                if isinstance(answer, SendDatagram):
                    sender.datagram_received(answer.data, ("10.0.0.2", 8005), now)
            for again in sender.effects():
                if isinstance(again, SendDatagram):
                    receiver.datagram_received(again.data, ("10.0.0.1", 8005), now)
    assert receiver.counters["changesets_applied"] > _CHANGES * 0.9, "the receiver has them"
    count = _CHANGES - _CHANGES // 2
    return (taken - theirs.taken) / count, theirs.taken / count


async def _sockets() -> tuple[float, float]:
    """Seconds to send a packet, and to receive one."""
    ends = []
    for _ in range(2):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        ends.append(sock)
    counters = dict.fromkeys(("datagrams_unsent", "datagrams_congested", "datagram_errors"), 0)
    one, other = [await open_datagrams(sock, counters) for sock in ends]
    packet = SendDatagram(ends[1].getsockname(), bytes(_BODY_BYTES + 150))
    sending = receiving = 0.0
    batch = 20
    for _ in range(_DATAGRAMS // batch):
        began = time.process_time()
        for _ in range(batch):
            one.send(packet)
        sent = time.process_time()
        for _ in range(batch):
            await other.receive()
        sending += sent - began
        receiving += time.process_time() - sent
    one.close()
    other.close()
    count = _DATAGRAMS // batch * batch
    return sending / count, receiving / count
